"""A decision page's view: what drifted, what the gate saw, what became of it."""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import date
from typing import TypedDict

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.drift.rules import AGE, FOLLOW_UP, NEW_BACKBONE
from driftune.io import finite
from driftune.registry.by_hand import BY_HAND
from driftune.registry.records import Decision, State
from driftune.registry.records.gate import GateVerdict, WaitsFor
from driftune.registry.records.states import UNMEASURED, word
from driftune.reports.adapter_view import CardView, MlflowView, card_view, mlflow_view
from driftune.reports.drift_view import DriftView, drift_view
from driftune.reports.gate_view import GateView, TrainingView, gate_view, training_view
from driftune.reports.history import History
from driftune.reports.links import champion_text, decision_href, domain_href
from driftune.reports.negatives import drawn_meaning
from driftune.reports.states import QUIET, heat_step, score_text, state_view

ROOT = "../../"
# What a fine-tune without evidence of drift was asked for by.
_CAUSES = {
    AGE: "Due by age",
    FOLLOW_UP: "Due as a follow-up",
    BY_HAND: "Asked for by hand",
    NEW_BACKBONE: "Due for a new backbone",
}


class DayLink(TypedDict):
    """Another day's page of the same domain."""

    day: str
    href: str


class FactView(TypedDict):
    """A fact of the record; ``kind`` says how the value is shown: code, number, moment or text."""

    label: str
    value: str | float
    kind: str


class EarlierView(TypedDict):
    """A decision of the day that another one replaced."""

    id: str
    revision: int
    state: dict[str, str]
    score: str
    sentence: str
    note: str | None
    was: str | None


class DecisionView(TypedDict):
    """The page of a domain and day; addresses are relative to it."""

    root: str
    id: str
    domain: str
    day: str
    day_href: str
    domain_href: str
    before: DayLink | None
    after: DayLink | None
    state: dict[str, str]
    step: str
    score: str
    outcome: str
    sentence: str
    note: str | None
    stale: str | None
    drawn_meaning: str | None
    drift: DriftView
    evidently: str | None
    evidently_possible: bool
    gate: GateView | None
    training: TrainingView | None
    facts: list[FactView]
    mlflow: MlflowView | None
    card: CardView | None
    earlier: list[EarlierView]


def decision_view(config: Config, history: History, rows: Sequence[Decision]) -> DecisionView:
    """The page of a domain and day as plain values; the last of ``rows`` counts."""
    row = rows[-1]
    day = date.fromisoformat(row.day)
    has_page = Workspace(config).drift_page(day, row.domain_key).exists()
    before, after = _neighbours(history, row)
    return {
        "root": ROOT,
        "id": row.id,
        "domain": row.domain,
        "day": row.day,
        "day_href": f"{ROOT}day/{row.day}.html",
        "domain_href": domain_href(ROOT, row.domain_key),
        "before": before,
        "after": after,
        "state": state_view(row.state),
        "step": heat_step(finite(row.score)),
        "score": score_text(finite(row.score)),
        "outcome": _outcome(row),
        "sentence": row.sentence,
        "note": row.note,
        "stale": _stale(history, row),
        "drawn_meaning": drawn_meaning(history.quality_of(day)),
        "drift": drift_view(row.scores),
        "evidently": f"{ROOT}drift/{row.day}/{row.domain_key}.html" if has_page else None,
        "evidently_possible": bool(row.scores.signals),
        "gate": None if row.gate is None else gate_view(row.gate),
        "training": None if row.training is None else training_view(row.training),
        "facts": _facts(history, row),
        "mlflow": mlflow_view(config, row.domain_key, _mlflow_version(history, row)),
        "card": card_view(config, row),
        "earlier": [
            {
                "id": other.id,
                "revision": other.revision,
                "state": state_view(other.state),
                "score": score_text(finite(other.score)),
                "sentence": other.sentence,
                "note": other.note,
                "was": _was(history, other),
            }
            for other in reversed(rows[:-1])
        ],
    }


def _was(history: History, row: Decision) -> str | None:
    """How a decision stood when it was made again; None where it was not, or nothing was kept."""
    before = history.ended.get(row.id)
    if before is None or before.state is None:
        return None
    return f"Before, it was {word(before.state)}" + (f": {before.note}" if before.note else "")


def _outcome(row: Decision) -> str:
    """The state in one sentence."""
    gain = None if row.gate is None else row.gate.gain
    difference = "" if gain is None else f" (AUC {gain:+.4f})"
    champion, cause = champion_text(row.champion_version), _cause(row)
    if row.state == State.PROMOTED:
        version = champion_text(row.adapter_version) if row.adapter_version else "a new version"
        if row.gate is not None and row.gate.decision == GateVerdict.PROMOTE:
            return f"{cause}; the challenger passed the gate and became {version}{difference}."
        return (
            f"{cause}; the challenger was promoted by hand as {version}, "
            f"against the gate's verdict{difference}."
        )
    sentences: dict[State | str, str] = {
        State.STABLE: "Stable; nothing to adapt.",
        State.WATCHED: f"Watched: evidence that does not trigger yet; {champion} serves.",
        State.REJECTED: f"{cause}; the gate kept the champion, {champion}{difference}.",
        State.WAITING: f"{cause}; {_waits(row)}, {champion} serves meanwhile{difference}.",
        State.UNDECIDED: f"{cause}; the gate could not judge, {champion} stays{_lack(row)}.",
        State.REVIEW: f"{cause}; waits for approval: driftune approve {row.id}. {champion} serves.",
        State.DECLINED: f"{cause}; a person declined the adaptation, {champion} serves.",
        State.PENDING: f"{cause}; waits for an adaptation, {champion} serves.",
        State.CLAIMED: f"{cause}; an adaptation is under way, {champion} serves.",
        State.SUPERSEDED: f"{cause}; not adapted for: {row.note or 'a newer decision came'}.",
        State.FAILED: f"{cause}; the adaptation failed, {champion} serves.",
    }
    if row.state in UNMEASURED and row.state not in sentences:
        return f"{word(row.state).capitalize()}: {UNMEASURED[State(row.state)]}."
    return sentences.get(row.state, f"State: {row.state}.")


def _cause(row: Decision) -> str:
    """What asked for a fine-tune, in a word or two."""
    return _CAUSES.get(row.readable().scores.rule or "", "Drifted")


def _lack(row: Decision) -> str:
    """What the gate lacked first, if it says so."""
    lacking = [] if row.gate is None else row.gate.lacking()
    return f": {lacking[0]}" if lacking else ""


def _waits(row: Decision) -> str:
    data = row.gate is not None and row.gate.waits_for == WaitsFor.DATA
    missing = "could not be judged yet" if data else "may be better"
    looks = 0 if row.gate is None else len(row.gate.looks)
    return f"the challenger {missing} and is judged again as rows come in ({looks} looks so far)"


def _facts(history: History, row: Decision) -> list[FactView]:
    """Where everything came from."""
    made = row.state not in QUIET
    facts: list[tuple[str, str | float | None, str]] = [
        ("Decision", row.id, "code"),
        ("Revision of the day", row.revision, "number"),
        ("Data version", row.data_version, "code"),
        ("Backbone", row.backbone, "code"),
        ("Champion on that day", champion_text(row.champion_version), "text"),
        ("Champion now", champion_text(history.champions[row.domain_key]), "text"),
        ("Adapter version", row.adapter_version, "number"),
        ("Challenger's SHA-256", None if row.gate is None else row.gate.challenger_sha256, "code"),
        ("Reviewed", _reviewed(history, row), "text"),
        ("Attempts", row.attempts if made else None, "number"),
        ("Claimed by", row.owner if row.lease_until else None, "code"),
        ("Lease until", row.lease_until, "moment"),
        ("Decided", row.decided_at, "moment"),
        ("Last change", row.updated_at, "moment"),
    ]
    return [
        {"label": label, "value": finite(value), "kind": kind}
        for label, value, kind in facts
        if value is not None
    ]


def _stale(history: History, row: Decision) -> str | None:
    """Which day that the decision used has changed, and what to do where its version serves."""
    champion = history.stale.get(row.domain_key)
    if champion is not None and champion.decision == row.id:
        return champion.told
    return row.stale


def _reviewed(history: History, row: Decision) -> str | None:
    told = history.reviews.get(row.id)
    if told is None:
        return None
    return f"{told['verdict']} by {told['who']}, {told['at']}: {told['why']}"


def _mlflow_version(history: History, row: Decision) -> str | None:
    if row.adapter_version is None:
        return None
    return history.mlflow_versions.get((row.domain_key, row.adapter_version))


def _neighbours(history: History, row: Decision) -> tuple[DayLink | None, DayLink | None]:
    """The domain's decisions of the day before and after, as links."""
    days = history.days_of(row.domain_key)
    place = bisect_left(days, row.day)
    before = days[place - 1] if place else None
    after = days[place + 1] if place + 1 < len(days) else None
    return _day_link(history, row.domain_key, before), _day_link(history, row.domain_key, after)


def _day_link(history: History, key: str, day: str | None) -> DayLink | None:
    if day is None:
        return None
    return {"day": day, "href": decision_href(ROOT, history.decisions[(key, day)][-1])}
