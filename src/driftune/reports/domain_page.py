"""A domain page's view: its time lines, its decisions, the history of its champion."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

from driftune.registry.ledger import BASE
from driftune.registry.rollback import ROLLBACK
from driftune.reports.history import DayEntry, History
from driftune.reports.links import champion_text, decision_href
from driftune.reports.states import (
    QUIET,
    domain_quality,
    heat_step,
    score_text,
    state_view,
    verdict_view,
)
from driftune.reports.timelines import timelines_spec

ROOT = "../"
# Newest days in the table of days.
NEWEST = 28


def domain_view(history: History, key: str) -> dict[str, Any]:
    """The page of a domain as plain values."""
    days = [_day(history, key, entry) for entry in history.days]
    rows = [rows[-1] for day in history.days_of(key) if (rows := history.decisions[(key, day)])]
    asked = [row for row in rows if row.state not in QUIET]
    states = Counter(row.state for row in asked)
    return {
        "root": ROOT,
        "key": key,
        "domain": history.domains[key],
        "champion": champion_text(history.champions[key]),
        "counts": [
            ("days with impressions", sum(day["rows"] is not None for day in days)),
            ("drifted", len(asked)),
            ("promoted", states["promoted"]),
            ("rejected", states["rejected"]),
        ],
        "chart": _chart(history, key, days),
        "base_known": any(day["base"] is not None for day in days),
        "decisions": [_decision(row) for row in reversed(asked)],
        "days": days[: -NEWEST - 1 : -1],
        "days_total": len(days),
        "switches": [
            _switch(history, row) for row in reversed(history.switches_by_domain.get(key, []))
        ],
    }


def _day(history: History, key: str, entry: DayEntry) -> dict[str, Any]:
    """What is known of a domain's day; None for what is not."""
    day = entry.day.isoformat()
    counts = history.counts.get((key, day)) or {}
    row = history.latest(key, entry.day)
    accepted = counts.get("rows") or None
    return {
        "day": day,
        "href": f"{ROOT}day/{day}.html" if history.is_recorded(entry.day) else None,
        "verdict": domain_quality(counts) or verdict_view(entry.verdict),
        "rows": accepted,
        "rate": counts["clicks"] / accepted if accepted else None,
        "score": None if row is None else row.score,
        "shown": "" if row is None else score_text(row.score),
        "step": heat_step(None if row is None else row.score),
        "state": state_view("missing" if row is None else row.state),
        "decision": decision_href(ROOT, row) if row and history.has_page(key, day) else None,
        "auc": None if row is None else row.auc,
        "base": None if row is None else _base_auc(history, key, row),
    }


def _base_auc(history: History, key: str, row: Any) -> float | None:
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


def _chart(history: History, key: str, days: list[dict[str, Any]]) -> dict[str, Any] | None:
    def line(name: str, title: str, digits: int) -> dict[str, Any]:
        values = [None if day[name] is None else round(day[name], digits) for day in days]
        return {"name": title, "values": values}

    panels: list[dict[str, Any]] = [
        {"title": "Impressions", "format": ",.0f", "rule": None, "zero": True,
         "lines": [line("rows", "impressions", 0)]},
        {"title": "Click rate", "format": ".1%", "rule": None, "zero": False,
         "lines": [line("rate", "click rate", 4)]},
        {"title": "Drift, 1 triggers", "format": ".2~f", "rule": 1, "zero": True,
         "lines": [line("score", "drift", 3)]},
        {"title": "AUC of clicks", "format": ".3f", "rule": None, "zero": False,
         "lines": [line("auc", "champion", 4), line("base", "frozen base", 4)]},
    ]  # fmt: skip
    if not any(value is not None for panel in panels for value in panel["lines"][0]["values"]):
        return None
    shown = {day["day"] for day in days}
    marks = [
        {
            "day": day,
            "kind": "down" if row.action == ROLLBACK else "up",
            "text": f"{row.action}, {champion_text(row.to_version)}",
        }
        for row in history.switches_by_domain.get(key, ())
        if (day := _switch_day(history, row)) in shown
    ]
    return timelines_spec([day["day"] for day in days], panels, marks)


def _switch_day(history: History, row: Any) -> str:
    """The day of the logs that a switch belongs to; one by hand: the day that it was made."""
    switch = (row.domain_key, row.from_version, row.to_version)
    if row.action == ROLLBACK and switch in history.rollback_days:
        return history.rollback_days[switch]
    made = history.day_of.get(row.decision_id or "")
    return made or datetime.fromtimestamp(row.at, UTC).date().isoformat()


def _decision(row: Any) -> dict[str, Any]:
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


def _switch(history: History, row: Any) -> dict[str, Any]:
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
