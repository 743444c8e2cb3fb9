"""A decision page's view: what drifted, what the gate saw, what became of it."""

from bisect import bisect_left
from datetime import date
from typing import Any

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.io import finite
from driftune.registry.decision_queries import auc_gain
from driftune.reports.adapter_view import card_view, mlflow_view
from driftune.reports.drift_view import drift_view
from driftune.reports.gate_view import gate_view, training_view
from driftune.reports.history import History
from driftune.reports.links import champion_text, decision_href, domain_href
from driftune.reports.states import QUIET, heat_step, score_text, state_view

ROOT = "../../"


def decision_view(config: Config, history: History, rows: list[Any]) -> dict[str, Any]:
    """The page of a domain and day as plain values; the last of ``rows`` counts."""
    row = rows[-1]
    day = date.fromisoformat(row.day)
    scores = _shown_scores(row.scores or {})
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
        "drift": drift_view(scores),
        "evidently": f"{ROOT}drift/{row.day}/{row.domain_key}.html" if has_page else None,
        "evidently_possible": bool(scores.get("signals")),
        "gate": gate_view(finite(row.gate)) if row.gate else None,
        "training": training_view(finite(row.training)) if row.training else None,
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
            }
            for other in reversed(rows[:-1])
        ],
    }


def _shown_scores(scores: dict[str, Any]) -> dict[str, Any]:
    """The scores without what is told of signals that did not move: most of their volume."""
    told, moved = scores.get("told") or {}, scores.get("moved") or ()
    shown = {name: told[name] for name in moved if name in told}
    found: dict[str, Any] = finite({**scores, "told": shown, "settled": None})
    return found


def _outcome(row: Any) -> str:
    """The state in one sentence."""
    gain = auc_gain(row.gate)
    difference = "" if gain is None else f" (AUC {gain:+.4f})"
    verdict = (row.gate or {}).get("decision")
    champion = champion_text(row.champion_version)
    if row.state == "promoted":
        version = champion_text(row.adapter_version) if row.adapter_version else "a new version"
        if verdict == "promote":
            return f"Drifted; the challenger passed the gate and became {version}{difference}."
        return (
            f"Drifted; the challenger was promoted by hand as {version}, "
            f"against the gate's verdict{difference}."
        )
    sentences = {
        "stable": "Stable; nothing to adapt.",
        "watched": f"Watched: evidence that does not trigger yet; {champion} serves.",
        "insufficient": "Too little data to measure drift; nothing was adapted.",
        "rejected": f"Drifted; the gate kept the champion, {champion}{difference}.",
        "waiting": f"Drifted; {_waits(row)}, {champion} serves meanwhile{difference}.",
        "undecided": f"Drifted; the gate had too little data to judge, {champion} stays.",
        "review": f"Drifted; waits for approval: driftune approve {row.id}. {champion} serves.",
        "declined": f"Drifted; a person declined the adaptation, {champion} serves.",
        "pending": f"Drifted; waits for an adaptation, {champion} serves.",
        "claimed": f"Drifted; an adaptation is under way, {champion} serves.",
        "superseded": f"Drifted; not adapted for: {row.note or 'a newer decision came'}.",
        "failed": f"Drifted; the adaptation failed, {champion} serves.",
    }
    return sentences.get(row.state, f"State: {row.state}.")


def _waits(row: Any) -> str:
    gate = row.gate or {}
    missing = "could not be judged yet" if gate.get("waits_for") == "data" else "may be better"
    looks = len(gate.get("looks") or [])
    return f"the challenger {missing} and is judged again as rows come in ({looks} looks so far)"


def _facts(history: History, row: Any) -> list[dict[str, Any]]:
    """Where everything came from: kind says how a value is shown."""
    gate = row.gate or {}
    made = row.state not in QUIET
    facts = [
        ("Decision", row.id, "code"),
        ("Revision of the day", row.revision, "number"),
        ("Data version", row.data_version, "code"),
        ("Backbone", row.backbone, "code"),
        ("Champion on that day", champion_text(row.champion_version), "text"),
        ("Champion now", champion_text(history.champions[row.domain_key]), "text"),
        ("Adapter version", row.adapter_version, "number"),
        ("Challenger's SHA-256", gate.get("challenger_sha256"), "code"),
        ("Stale", row.stale, "text"),
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


def _reviewed(history: History, row: Any) -> str | None:
    told = history.reviews.get(row.id)
    if told is None:
        return None
    return f"{told['verdict']} by {told['who']}, {told['at']}: {told['why']}"


def _mlflow_version(history: History, row: Any) -> str | None:
    if row.adapter_version is None:
        return None
    return history.mlflow_versions.get((row.domain_key, row.adapter_version))


def _neighbours(history: History, row: Any) -> tuple[dict[str, str] | None, ...]:
    """The domain's decisions of the day before and after, as links."""
    days = history.days_of(row.domain_key)
    place = bisect_left(days, row.day)
    near = (days[place - 1] if place else None, days[place + 1] if place + 1 < len(days) else None)
    return tuple(
        None
        if day is None
        else {
            "day": day,
            "href": decision_href(ROOT, history.decisions[(row.domain_key, day)][-1]),
        }
        for day in near
    )
