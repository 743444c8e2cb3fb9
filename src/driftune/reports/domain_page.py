"""A domain page's view: its time lines, its decisions, the history of its champion."""

from collections import Counter
from datetime import UTC, datetime
from typing import TypedDict

from driftune.registry.decision_queries import Decided
from driftune.registry.ledger import BASE, ROLLBACK
from driftune.registry.rows import SwitchRecord
from driftune.reports.history import PERIOD, History
from driftune.reports.links import champion_text, decision_href
from driftune.reports.states import (
    QUIET,
    QualityView,
    domain_quality,
    heat_step,
    score_text,
    state_view,
    verdict_view,
)
from driftune.reports.timelines import Mark, Panel, TimelinesSpec, timelines_spec

ROOT = "../"
LINES = ("rows", "rate", "score", "auc", "base")
# Title, format of a value, where a rule goes, whether the axis begins at zero, its lines.
PANELS: tuple[tuple[str, str, float | None, bool, dict[str, str]], ...] = (
    ("Impressions", ",.0f", None, True, {"rows": "impressions"}),
    ("Click rate", ".1%", None, False, {"rate": "click rate"}),
    ("Drift, 1 triggers", ".2~f", 1, True, {"score": "drift"}),
    ("AUC of clicks", ".3f", None, False, {"auc": "champion", "base": "frozen base"}),
)


class DecisionRow(TypedDict):
    """A decision that asked for a fine-tune; ``made``: the version that came of it."""

    day: str
    href: str
    state: dict[str, str]
    step: str
    score: str
    gain: float | None
    champion: str
    made: str | None


class DayRow(TypedDict):
    """A row of the table of days; None where a value is not known."""

    day: str
    href: str | None
    verdict: QualityView | dict[str, str]
    shown: str
    step: str
    state: dict[str, str]
    decision: str | None
    rows: float | None
    rate: float | None
    score: float | None
    auc: float | None
    base: float | None


class SwitchRow(TypedDict):
    """A switch of the champion; ``at``: seconds since 1970."""

    at: float
    day: str
    action: str
    before: str
    after: str
    mlflow: str | None
    who: str
    reason: str
    href: str | None


class DomainView(TypedDict):
    """The page of a domain; addresses are relative to it."""

    root: str
    key: str
    domain: str
    champion: str
    stale: str | None
    weak: str | None
    counts: list[tuple[str, int]]
    chart: TimelinesSpec | None
    base_known: bool
    decisions: list[DecisionRow]
    days: list[DayRow]
    days_total: int
    switches: list[SwitchRow]


def domain_view(history: History, key: str) -> DomainView:
    """The page of a domain as plain values."""
    shown = [history.decisions[(key, day)][-1] for day in history.days_of(key)]
    asked = [row for row in shown if row.state not in QUIET]
    states = Counter(row.state for row in asked)
    lines = _lines(history, key)
    newest = range(len(history.days) - 1, max(len(history.days) - 1 - PERIOD, -1), -1)
    return {
        "root": ROOT,
        "key": key,
        "domain": history.domains[key],
        "champion": champion_text(history.champions[key]),
        "stale": history.stale[key].told if key in history.stale else None,
        "weak": history.weak.get(key),
        "counts": [
            ("days with impressions", sum(rows is not None for rows in lines["rows"])),
            ("fine-tunes", len(asked)),
            ("promoted", states["promoted"]),
            ("rejected", states["rejected"]),
        ],
        "chart": _chart(history, key, lines),
        "base_known": any(value is not None for value in lines["base"]),
        "decisions": [_decision(row) for row in reversed(asked)],
        "days": [_day(history, key, place, lines) for place in newest],
        "days_total": len(history.days),
        "switches": [
            _switch(history, row) for row in reversed(history.switches_by_domain.get(key, []))
        ],
    }


def _lines(history: History, key: str) -> dict[str, list[float | None]]:
    """A value per day of each time line; None where it is not known."""
    lines: dict[str, list[float | None]] = {name: [] for name in LINES}
    for entry in history.days:
        counts = history.counts.get((key, entry.text))
        row = history.latest_on(key, entry.text)
        rows = counts["rows"] if counts else 0
        lines["rows"].append(rows or None)
        lines["rate"].append(round(counts["clicks"] / rows, 4) if counts and rows else None)
        lines["score"].append(None if row is None else _rounded(row.score, 3))
        lines["auc"].append(None if row is None else _rounded(row.auc, 4))
        lines["base"].append(None if row is None else _rounded(_base_auc(history, key, row), 4))
    return lines


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _day(history: History, key: str, place: int, lines: dict[str, list[float | None]]) -> DayRow:
    """A row of the table of days."""
    entry = history.days[place]
    row = history.latest_on(key, entry.text)
    score = None if row is None else row.score
    page = row if (key, entry.text) in history.pages else None
    return {
        "day": entry.text,
        "href": f"{ROOT}day/{entry.day}.html" if history.is_recorded(entry.day) else None,
        "verdict": domain_quality(history.counts.get((key, entry.text)))
        or verdict_view(entry.verdict),
        "shown": score_text(score),
        "step": heat_step(score),
        "state": state_view("missing" if row is None else row.state),
        "decision": decision_href(ROOT, page) if page else None,
        "rows": lines["rows"][place],
        "rate": lines["rate"][place],
        "score": lines["score"][place],
        "auc": lines["auc"][place],
        "base": lines["base"][place],
    }


def _base_auc(history: History, key: str, row: Decided) -> float | None:
    """The frozen base's AUC: the champion's where it is the base, else by the guard's difference.

    The champion's AUC is of the rows that drift looked at, the difference of all the day's rows
    that trained neither.
    """
    if row.auc is None or row.champion_version == BASE:
        return row.auc
    check = history.base_checks.get((key, row.day, row.champion_version))
    if check is None or check.estimate is None:
        return None
    return float(row.auc - check.estimate)


def _chart(
    history: History, key: str, lines: dict[str, list[float | None]]
) -> TimelinesSpec | None:
    panels: list[Panel] = [
        {
            "title": title,
            "format": shown,
            "rule": rule,
            "zero": zero,
            "lines": [{"name": name, "values": lines[line]} for line, name in names.items()],
        }
        for title, shown, rule, zero, names in PANELS
    ]
    if not any(value is not None for panel in panels for value in panel["lines"][0]["values"]):
        return None
    days = [entry.text for entry in history.days]
    shown = set(days)
    marks: list[Mark] = [
        {
            "day": day,
            "kind": "down" if row.action == ROLLBACK else "up",
            "text": f"{row.action}, {champion_text(row.to_version)}",
        }
        for row in history.switches_by_domain.get(key, ())
        if (day := _switch_day(history, row)) in shown
    ]
    return timelines_spec(days, panels, marks)


def _switch_day(history: History, row: SwitchRecord) -> str:
    """The day of the logs that a switch belongs to; one by hand: the day that it was made."""
    switch = (row.domain_key, row.from_version, row.to_version)
    if row.action == ROLLBACK and switch in history.rollback_days:
        return history.rollback_days[switch]
    made = history.day_of.get(row.decision_id or "")
    return made or datetime.fromtimestamp(row.at, UTC).date().isoformat()


def _decision(row: Decided) -> DecisionRow:
    return {
        "day": row.day,
        "href": decision_href(ROOT, row),
        "state": state_view(row.state),
        "step": heat_step(row.score),
        "score": score_text(row.score),
        "gain": row.gain,
        "champion": champion_text(row.champion_version),
        "made": None if row.adapter_version is None else champion_text(row.adapter_version),
    }


def _switch(history: History, row: SwitchRecord) -> SwitchRow:
    shown = history.shown_decision(row.decision_id)
    return {
        "at": row.at,
        "day": _switch_day(history, row),
        "action": row.action,
        "before": champion_text(row.from_version),
        "after": champion_text(row.to_version),
        "mlflow": history.mlflow_versions.get((row.domain_key, row.to_version)),
        "who": row.who,
        "reason": row.reason,
        "href": decision_href(ROOT, shown) if shown else None,
    }
