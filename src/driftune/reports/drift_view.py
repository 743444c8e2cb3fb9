"""A decision's drift in views: every signal's evidence, and a card for each that moved."""

from collections.abc import Sequence
from math import log10
from typing import TypedDict, cast

from driftune.config.triggers import METHODS
from driftune.drift.signals import SIGNALS, Facts
from driftune.drift.words import say
from driftune.registry.records.scores import Scores, TriggerScore

# Rows of a card's plot, and the least evidence that a bar is drawn to, as −log10 p.
MOST, FULL = 8, 6.0
_PASSED = ("watched", "●", "passed")
_LABELS = {
    "rows": "impressions compared",
    "clicks": "clicks",
    "reference_days": "reference days",
    "reference_rows": "their impressions",
    "hours": "hours with impressions",
}


class SignalRow(TypedDict):
    """A signal's evidence (−log10 p) and the limit from which on it counts; ``p`` in characters.

    ``width`` of its bar and ``tick`` of the limit are in percent.
    """

    label: str
    unit: str
    decides: bool
    moved: bool
    p: str
    effect: float | None
    evidence: float | None
    limit: float | None
    width: float
    tick: float | None


class CardRow(TypedDict):
    """One category, hour or kind: figures before and after, and places on a scale of 100."""

    name: str
    before: str
    after: str
    x1: float
    x2: float


class Card(TypedDict):
    """A signal that moved: its words, and rows from before to after."""

    words: str
    decides: bool
    rows: list[CardRow]
    measure: str


class TriggerRow(TypedDict):
    """What Evidently measured for a configured trigger, in words; ``chip``: what it came to."""

    what: str
    method: str
    value: str
    threshold: str
    days: str
    action: str
    chip: dict[str, str]


class DriftView(TypedDict):
    """A page's drift; ``single``: cards without rows; ``reference``: days, ISO."""

    rule: str | None
    signals: list[SignalRow]
    triggers: list[TriggerRow]
    cards: list[Card]
    single: list[Card]
    windows: list[tuple[str, int]]
    reference: list[str]
    matched: bool


def drift_view(scores: Scores) -> DriftView:
    """What a decision's scores say of the drift: the rule, signals, cards, windows."""
    moved = [name for name in scores.moved if name in SIGNALS]
    cards = [_card(name, scores) for name in moved]
    counts = {} if scores.counts is None else scores.counts.known()
    return {
        "rule": scores.rule,
        "signals": _signals(scores, moved),
        "triggers": [_trigger(score) for score in scores.triggers],
        "cards": [card for card in cards if card["rows"]],
        "single": [card for card in cards if not card["rows"]],
        "windows": [(label, counts[name]) for name, label in _LABELS.items() if name in counts],
        "reference": [day.isoformat() for day in scores.reference],
        "matched": bool(scores.matched),
    }


def _signals(scores: Scores, moved: Sequence[str]) -> list[SignalRow]:
    """Every signal, the strongest evidence first; widths and ticks of bars in percent."""
    deciding, others = scores.limits or (None, None)
    rows: list[SignalRow] = []
    for name, found in (scores.signals or {}).items():
        about = SIGNALS.get(name)
        decides = about is not None and about.kind == "performance"
        limit = deciding if decides else others
        rows.append(
            {
                "label": about.label if about else name,
                "unit": about.unit if about else "",
                "decides": decides,
                "moved": name in moved,
                "p": p_text(found.p),
                "effect": found.effect,
                "evidence": None if found.p is None else -log10(max(found.p, 1e-300)),
                "limit": None if not limit else -log10(limit),
                "width": 0.0,
                "tick": None,
            }
        )
    rows.sort(key=lambda row: (not row["decides"], -(row["evidence"] or 0.0)))
    full = max([FULL, *(min(row["evidence"] or 0.0, 3 * FULL) for row in rows)])
    for row in rows:
        row["width"] = round(100 * min(row["evidence"] or 0.0, full) / full, 1)
        row["tick"] = None if row["limit"] is None else round(100 * row["limit"] / full, 1)
    return rows


def _trigger(score: TriggerScore) -> TriggerRow:
    """A configured trigger's row; what did not fire says why."""
    known = METHODS.get(score.method)
    threshold = f"p below {score.p:g}" if score.p is not None else f"above {score.above or 0:g}"
    name, mark, label = "stable", "", "not passed"
    if score.fired:
        name, mark, label = ("alert", "⚑", "alert") if score.action == "alert" else _PASSED
    elif score.beyond and score.row < score.days:
        name, mark, label = "watched", "○", "waits for another day"
    elif score.beyond:
        name, mark, label = "watched", "○", "no evidence among all domains"
    return {
        "what": f"{score.what} (signal)" if score.of == "signal" else score.what,
        "method": known.words if known else score.method,
        "value": "–" if score.value is None else f"{score.value:.3g}",
        "threshold": threshold,
        "days": f"{score.row} of {score.days}",
        "action": score.action,
        "chip": {"name": name, "mark": mark, "label": label},
    }


def p_text(p: float | None) -> str:
    """A p-value in a few characters."""
    if p is None:
        return "–"
    if p < 1e-12:
        return "< 10⁻¹²"
    return f"{p:.2f}" if p >= 0.095 else f"{p:.1g}"


def _card(name: str, scores: Scores) -> Card:
    """A signal that moved: its words, and rows from → to with their places on a scale of 100."""
    facts = scores.fact(name)
    rows = [
        (row.name, row.before, row.after, row.weight or 0.0)
        for row in facts.rows or ()
        if row.before is not None and row.after is not None
    ]
    size = [weight * abs(after - before) for _, before, after, weight in rows]
    order = sorted(range(len(rows)), key=lambda place: -size[place])[:MOST]
    shown = [rows[place] for place in sorted(order)]
    top = max([max(before, after) for _, before, after, _ in shown], default=0.0) or 1.0
    plain = cast("Facts", facts.model_dump(by_alias=True, exclude_unset=True))
    words = say(name, {name: plain})
    return {
        "words": words[:1].upper() + words[1:],
        "decides": SIGNALS[name].kind == "performance",
        "rows": [
            {
                "name": row,
                "before": SIGNALS[name].show_figure(before),
                "after": SIGNALS[name].show_figure(after),
                "x1": round(100 * before / top, 1),
                "x2": round(100 * after / top, 1),
            }
            for row, before, after, _ in shown
        ],
        "measure": SIGNALS[name].measure,
    }
