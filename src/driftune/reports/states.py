"""How a decision's state and a drift score are shown: a mark, a word and a colour step."""

from bisect import bisect_right
from itertools import pairwise
from typing import TypedDict

from driftune.quality.parts import DomainRecord
from driftune.registry.records.states import QUIET as QUIET
from driftune.registry.records.states import UNMEASURED, State, word


class QualityView(TypedDict):
    """A domain's own verdict on a day; ``name`` is its style."""

    name: str
    mark: str
    label: str
    reasons: list[str]


class StepView(TypedDict):
    """A colour step of drift scores and its range."""

    step: str
    label: str


# State → (mark, meaning). The mark and the word carry the state; colour only repeats it.
_SHOWN: dict[str, tuple[str, str]] = {
    "stable": ("", "nothing moved that hurts the champion"),
    "watched": ("○", "something hurts the champion; waits for more evidence"),
    "promoted": ("▲", "a new adapter became champion, with its AUC gain"),
    "rejected": ("✕", "the gate kept the champion"),
    "waiting": ("◔", "the challenger is judged again as rows come in"),
    "undecided": ("?", "the gate lacked what it needs to judge the challenger"),
    "review": ("‖", "a fine-tune waits for a person's approval"),
    "pending": ("…", "a fine-tune waits for its run"),
    "claimed": ("↻", "a fine-tune is under way"),
    "declined": ("∅", "a person declined the fine-tune"),
    "superseded": ("»", "overtaken by a newer decision, champion, delivery or settings"),
    "failed": ("!", "the fine-tune ended with an error"),
    "insufficient": ("–", UNMEASURED[State.INSUFFICIENT]),
    "new": ("+", UNMEASURED[State.NEW]),
    "absent": ("·", UNMEASURED[State.ABSENT]),
    "partial": ("◐", UNMEASURED[State.PARTIAL]),
    "no-clicks": ("0", UNMEASURED[State.NO_CLICKS]),
    "only-clicks": ("1", UNMEASURED[State.ONLY_CLICKS]),
    "error": ("‼", UNMEASURED[State.ERROR]),
    "refused": ("⊘", UNMEASURED[State.REFUSED]),
}
# Why a cell of the map has no decision.
WITHOUT: dict[str, str] = {
    "not-run": "no run has taken the day in",
    "not-known": "the domain was first seen on a later day",
    "not-come": "the run of the day has not come to it",
    "trained": "the champion was trained on the day or on later ones",
}
# State → (mark, word, meaning).
STATES: dict[str, tuple[str, str, str]] = {
    name: (mark, word(name), meaning) for name, (mark, meaning) in _SHOWN.items()
} | {"missing": ("", "no decision", "nothing was decided; the cell says why")}
# What a threshold of ``drift.triggers`` that alerts adds to a decision's state.
ALERT = {
    "name": "alert",
    "mark": "⚑",
    "label": "alert",
    "meaning": "a threshold of drift.triggers was passed; nothing is adapted for it",
}
WAITING = ("review", "pending", "claimed", "waiting")

VERDICTS: dict[str, tuple[str, str]] = {
    "ok": ("✓", "quality ok"),
    "warning": ("!", "quality warning"),
    "refused": ("⊘", "day refused"),
}

# Outcome of an expectation → (verdict whose colour it has, mark, label).
OUTCOMES: dict[str, tuple[str, str, str]] = {
    "passed": ("ok", "✓", "pass"),
    "broken": ("refused", "✕", "broken"),
    "warned": ("warning", "!", "warning"),
}

# Upper ends of the colour steps; drift begins at 1.
STEPS = (0.5, 0.8, 1.0, 1.5, 2.0, 3.0)


def state_view(name: str) -> dict[str, str]:
    """Mark, label and meaning of a state; an unknown one is shown by its name.

    Of what ``WITHOUT`` names, those of ``missing`` with its own meaning.
    """
    if name in WITHOUT:
        return {**state_view("missing"), "meaning": WITHOUT[name]}
    mark, label, meaning = STATES.get(name, ("?", name, ""))
    known = name if name in STATES else "other"
    return {"name": known, "mark": mark, "label": label, "meaning": meaning}


def verdict_view(verdict: str | None) -> dict[str, str]:
    """Mark and label of a day's quality verdict; None is a day without a record."""
    if verdict is None:
        return {"name": "none", "mark": "·", "label": "no quality record"}
    mark, label = VERDICTS.get(verdict, ("?", verdict))
    return {"name": verdict if verdict in VERDICTS else "none", "mark": mark, "label": label}


def domain_quality(counts: DomainRecord | None) -> QualityView | None:
    """A domain's own verdict on a day with its reasons; None where the record has none.

    Args:
        counts: the domain's entry in the day's quality record, if any; ``reasons`` say why.
    """
    if counts is None or not counts.get("verdict"):
        return None
    reasons = [str(each) for each in counts.get("reasons") or []]
    view = verdict_view(str(counts["verdict"]))
    return {
        "name": view["name"],
        "mark": view["mark"],
        "label": view["label"].removeprefix("day "),
        "reasons": reasons,
    }


def outcome_view(outcome: str) -> dict[str, str]:
    """Colour, mark and label of an expectation's outcome; an unknown one is shown by its name."""
    name, mark, label = OUTCOMES.get(outcome, ("none", "?", str(outcome)))
    return {"name": name, "mark": mark, "label": label}


def heat_step(score: float | None) -> str:
    """The colour step of a drift score, ``h0`` to ``h6``; ``hx`` without a score."""
    return "hx" if score is None else f"h{bisect_right(STEPS, score)}"


def score_text(score: float | None) -> str:
    """A drift score in a few characters; rounding never carries it across 1."""
    if score is None:
        return ""
    if score >= 10:
        return f"{score:.0f}"
    if 0.95 <= score < 1:
        return "0.99" if score >= 0.995 else f"{score:.2f}"
    return f"{score:.1f}"


def gain_text(gain: float | None) -> str:
    """A difference of AUC in a few characters."""
    if gain is None:
        return ""
    return f"{gain:+.3f}".replace("0.", ".", 1)


def steps_legend() -> list[StepView]:
    """The colour steps with their ranges, for the legend."""
    edges = [f"{edge:g}" for edge in STEPS]
    labels = [f"< {edges[0]}"]
    labels += [f"{low}–{high}" for low, high in pairwise(edges)]
    labels.append(f"≥ {edges[-1]}")
    return [{"step": f"h{number}", "label": label} for number, label in enumerate(labels)]
