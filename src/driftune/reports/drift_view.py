"""A decision's drift in views: every signal's evidence, and a card for each that moved."""

from collections.abc import Mapping, Sequence
from math import log10
from typing import Any

from driftune.drift.signals import SIGNALS
from driftune.drift.words import say

# Rows of a card's plot, and the least evidence that a bar is drawn to, as −log10 p.
MOST, FULL = 8, 6.0
_COUNTS = (
    ("rows", "impressions compared"),
    ("clicks", "clicks"),
    ("reference_days", "reference days"),
    ("reference_rows", "their impressions"),
    ("hours", "hours with impressions"),
)


def drift_view(scores: Mapping[str, Any]) -> dict[str, Any]:
    """What a decision's scores say of the drift: the rule, signals, cards, windows."""
    counts = scores.get("counts") or {}
    moved = [name for name in scores.get("moved") or () if name in SIGNALS]
    cards = [_card(name, scores.get("told") or {}) for name in moved]
    return {
        "rule": scores.get("rule"),
        "signals": _signals(scores, moved),
        "cards": [card for card in cards if card["rows"]],
        "single": [card for card in cards if not card["rows"]],
        "windows": [(label, counts[name]) for name, label in _COUNTS if name in counts],
        "reference": scores.get("reference") or [],
        "matched": bool(scores.get("matched")),
    }


def _signals(scores: Mapping[str, Any], moved: Sequence[str]) -> list[dict[str, Any]]:
    """Every signal, the strongest evidence first; widths and ticks of bars in percent."""
    signals = scores.get("signals") or {}
    deciding, others = scores.get("limits") or (None, None)
    rows = []
    for name, found in signals.items():
        about, p = SIGNALS.get(name), found.get("p")
        decides = about is not None and about.kind == "performance"
        limit = deciding if decides else others
        rows.append(
            {
                "label": about.label if about else name,
                "unit": about.unit if about else "",
                "decides": decides,
                "moved": name in moved,
                "p": p_text(p),
                "effect": found.get("effect"),
                "evidence": None if p is None else -log10(max(p, 1e-300)),
                "limit": None if not limit else -log10(limit),
            }
        )
    rows.sort(key=lambda row: (not row["decides"], -(row["evidence"] or 0.0)))
    full = max([FULL, *(min(row["evidence"] or 0.0, 3 * FULL) for row in rows)])
    for row in rows:
        row["width"] = round(100 * min(row["evidence"] or 0.0, full) / full, 1)
        row["tick"] = None if row["limit"] is None else round(100 * row["limit"] / full, 1)
    return rows


def p_text(p: float | None) -> str:
    """A p-value in a few characters."""
    if p is None:
        return "–"
    if p < 1e-12:
        return "< 10⁻¹²"
    return f"{p:.2f}" if p >= 0.095 else f"{p:.1g}"


def _card(name: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """A signal that moved: its words, and rows from → to with their places on a scale of 100."""
    figures = told.get(name) or {}
    rows = [row for row in figures.get("rows") or () if None not in (row["from"], row["to"])]
    size = [row.get("weight", 1.0) * abs(row["to"] - row["from"]) for row in rows]
    order = sorted(range(len(rows)), key=lambda place: -size[place])[:MOST]
    shown = [rows[place] for place in sorted(order)]
    top = max([row[side] for row in shown for side in ("from", "to")], default=0.0) or 1.0
    words = say(name, told)
    return {
        "words": words[:1].upper() + words[1:],
        "decides": SIGNALS[name].kind == "performance",
        "rows": [
            {
                "name": row["name"],
                "before": SIGNALS[name].show_figure(row["from"]),
                "after": SIGNALS[name].show_figure(row["to"]),
                "x1": round(100 * row["from"] / top, 1),
                "x2": round(100 * row["to"] / top, 1),
            }
            for row in shown
        ],
        "measure": SIGNALS[name].measure,
    }
