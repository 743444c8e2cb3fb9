"""The front page's view: heat map of domains and days, champion switches, drift over time."""

from typing import Any

from driftune.files import finite
from driftune.registry.ledger import BASE
from driftune.reports.figures import lines_spec
from driftune.reports.history import DayEntry, History
from driftune.reports.states import (
    QUIET,
    STATES,
    VERDICTS,
    WAITING,
    heat_step,
    score_text,
    state_view,
    steps_legend,
    verdict_view,
)

SWITCHES = 20


def front_view(history: History, *, compared: bool = False) -> dict[str, Any]:
    """The front page as plain values; ``compared``: whether there is a page on policies."""
    pages = {entry.day for entry in history.recorded}
    latest = [rows[-1] for rows in history.decisions.values()]
    return {
        "root": "",
        "compared": compared,
        "days": [_column(entry, entry.day in pages) for entry in history.days],
        "reference": [_column(entry, True) for entry in history.reference],
        "rows": [
            {
                "domain": name,
                "champion": champion_text(history.champions[key]),
                "cells": [_cell(history, key, entry) for entry in history.days],
            }
            for key, name in history.domains.items()
        ],
        "span": _span(history.days),
        "counts": [
            ("days", len(history.days)),
            ("domains", len(history.domains)),
            ("drifted", sum(row.state not in QUIET for row in latest)),
            ("promoted", sum(row.state == "promoted" for row in latest)),
            ("waiting", sum(row.state in WAITING for row in latest)),
        ],
        "steps": steps_legend(),
        "states": [state_view(name) for name in STATES],
        "verdicts": [verdict_view(name) for name in VERDICTS],
        "switches": [_switch(history, row) for row in reversed(history.switches[-SWITCHES:])],
        "switches_total": len(history.switches),
        "chart": lines_spec(
            [entry.day.isoformat() for entry in history.days],
            [
                (name, [_score(history.latest(key, entry.day)) for entry in history.days])
                for key, name in history.domains.items()
            ],
        ),
    }


def champion_text(version: int) -> str:
    """A champion's version in words."""
    return "frozen base" if version == BASE else f"version {version}"


def auc_gain(row: Any) -> float | None:
    """Challenger minus champion in the gate's metric; None when the gate has no such figure."""
    gain = finite(((row.gate or {}).get("difference") or {}).get("estimate"))
    return gain if isinstance(gain, int | float) else None


def decision_href(root: str, row: Any) -> str:
    """Relative address of a decision's page: only the day and the domain's key are in it."""
    return f"{root}decision/{row.day}/{row.domain_key}.html"


def _score(row: Any) -> float | None:
    return None if row is None else finite(row.score)


def _span(days: list[DayEntry]) -> str:
    return f"{days[0].day} to {days[-1].day}" if days else ""


def _column(entry: DayEntry, has_page: bool) -> dict[str, Any]:
    return {
        "day": entry.day.isoformat(),
        "short": f"{entry.day:%m-%d}",
        "href": f"day/{entry.day}.html" if has_page else None,
        "verdict": verdict_view(entry.verdict),
    }


def _cell(history: History, key: str, entry: DayEntry) -> dict[str, Any]:
    row = history.latest(key, entry.day)
    if row is None:
        refused = entry.verdict == "refused"
        return {
            "state": state_view("refused" if refused else "missing"),
            "step": "hx",
            "score": "",
            "gain": "",
            "href": f"day/{entry.day}.html" if refused else None,
            "title": "Day refused" if refused else "No decision",
        }
    score, gain = _score(row), auc_gain(row)
    state = state_view(row.state)
    shown = f"{gain:+.3f}" if row.state == "promoted" and gain is not None else ""
    parts = [state["label"].capitalize()]
    if score is not None:
        parts.append(f"drift {score:.2f} (1 triggers)")
    if gain is not None:
        parts.append(f"AUC {gain:+.4f}")
    return {
        "state": state,
        "step": heat_step(score),
        "score": score_text(score),
        "gain": shown,
        "href": decision_href("", row),
        "title": ", ".join(parts),
    }


def _switch(history: History, row: Any) -> dict[str, Any]:
    """A champion switch; linked to its decision where that is the one its page shows."""
    shown = [rows[-1] for rows in history.decisions.values() if rows[-1].id == row.decision_id]
    return {
        "at": row.at,
        "domain": row.domain,
        "action": row.action,
        "before": champion_text(row.from_version),
        "after": champion_text(row.to_version),
        "who": row.who,
        "reason": row.reason,
        "href": decision_href("", shown[0]) if shown else None,
    }
