"""The front page's view: heat map of domains and days, champion switches, drift over time."""

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import TypedDict

from driftune.registry.rows import SwitchRecord
from driftune.reports.figures import LinesSpec, lines_spec
from driftune.reports.history import PERIOD, DayEntry, History
from driftune.reports.links import champion_text, decision_href, domain_href
from driftune.reports.map_data import Cell, Column, MapData, cell_view, columns, map_data
from driftune.reports.states import (
    ALERT,
    QUIET,
    STATES,
    VERDICTS,
    WAITING,
    StepView,
    state_view,
    steps_legend,
    verdict_view,
)
from driftune.serving.where import BundleStatus
from driftune.training.base_record import BaseProblem

SWITCHES, BASE = 20, 5
# Domains in the page itself, and lines of its chart; its script shows the others.
ROWS, LINES = 200, 100


class Month(TypedDict):
    """A month (2026-03) and the number of its shown days."""

    name: str
    days: int


class MapRow(TypedDict):
    """A domain's row of the map."""

    key: str
    domain: str
    href: str
    champion: str
    cells: list[Cell]


class StateView(TypedDict):
    """A state in the legend; ``found``: whether any decision has it."""

    name: str
    mark: str
    label: str
    meaning: str
    found: bool


class SwitchRow(TypedDict):
    """A champion switch; ``at``: seconds since 1970."""

    at: float
    domain: str
    domain_href: str
    action: str
    before: str
    after: str
    who: str
    reason: str
    href: str | None


class ChampionRow(TypedDict):
    """A champion that is stale, or weak, and why."""

    domain: str
    domain_href: str
    told: str


class BaseRow(TypedDict):
    """A domain that the frozen model predicts badly; no ``domain_href`` where it has no page."""

    domain: str
    domain_href: str
    told: str


class FrontView(TypedDict):
    """The front page."""

    root: str
    compared: bool
    days: list[Column]
    months: list[Month]
    period: int
    all_months: list[str]
    all_days: int
    reference: list[Column]
    rows: list[MapRow]
    data: MapData
    total: int
    span: str
    counts: list[tuple[str, int]]
    stale: list[ChampionRow]
    weak: list[ChampionRow]
    weak_more: int
    base: list[BaseRow]
    base_more: int
    steps: list[StepView]
    found: list[str]
    states: list[StateView]
    verdicts: list[dict[str, str]]
    alert: dict[str, str] | None
    switches: list[SwitchRow]
    switches_total: int
    bundles: list[BundleStatus]
    chart: LinesSpec | None
    drawn: int


def front_view(
    history: History,
    base: Sequence[BaseProblem] = (),
    bundles: Sequence[BundleStatus] = (),
    *,
    compared: bool = False,
) -> FrontView:
    """The front page as plain values; ``compared``: whether there is a page on policies, ``base``:
    what is wrong with the frozen model, ``bundles``: what was exported, and who serves it.

    The page itself holds the first ``ROWS`` domains and newest ``PERIOD`` days of the map; its
    script shows others, and filters, by ``data`` and the files of ``months``.
    """
    latest = Counter(rows[-1].state for rows in history.decisions.values())
    newest = history.days[-PERIOD:]
    shown = columns(history, newest)
    keys = [*history.domains][:ROWS]
    return {
        "root": "",
        "compared": compared,
        "days": shown,
        "months": months(shown),
        "period": PERIOD,
        "all_months": [month["name"] for month in months(columns(history, history.days))][::-1],
        "all_days": len(history.days),
        "reference": columns(history, history.reference),
        "rows": [
            {
                "key": key,
                "domain": name,
                "href": domain_href("", key),
                "champion": champion_text(history.champions[key]),
                "cells": [cell_view(history, key, entry) for entry in newest],
            }
            for key, name in [*history.domains.items()][:ROWS]
        ],
        "data": map_data(history, keys, PERIOD),
        "total": len(history.domains),
        "span": _span(history.days),
        "counts": [
            ("days", len(history.days)),
            ("domains", len(history.domains)),
            ("fine-tunes", sum(latest[state] for state in latest.keys() - {*QUIET})),
            ("promoted", latest["promoted"]),
            ("waiting", sum(latest[state] for state in WAITING)),
        ],
        "stale": [
            {"domain": each.domain, "domain_href": domain_href("", key), "told": each.told}
            for key, each in history.stale.items()
        ],
        "weak": _weak(history),
        "weak_more": max(0, len(history.weak) - BASE),
        "base": _base(history, base),
        "base_more": max(0, len(base) - BASE),
        "steps": steps_legend(),
        "found": [name for name in STATES if latest[name]],
        "states": [
            _state(name, bool(latest[name]) or name in ("stable", "missing")) for name in STATES
        ],
        "verdicts": [verdict_view(name) for name in VERDICTS],
        "alert": ALERT if any(rows[-1].alert for rows in history.decisions.values()) else None,
        "switches": [_switch(history, row) for row in reversed(history.switches[-SWITCHES:])],
        "switches_total": len(history.switches),
        "bundles": [*bundles],
        "chart": lines_spec(
            [entry.day.isoformat() for entry in newest],
            _lines(history, newest),
        ),
        "drawn": LINES,
    }


def _lines(history: History, newest: Sequence[DayEntry]) -> list[tuple[str, list[float | None]]]:
    """Name and scores of the chart's domains: of very many those with the highest scores."""
    found = [
        (name, [_score(history, key, entry) for entry in newest])
        for key, name in history.domains.items()
    ]
    if len(found) <= ROWS:
        return found
    highest = sorted(found, key=lambda line: -max((each or 0.0 for each in line[1]), default=0.0))
    chosen = {name for name, _ in highest[:LINES]}
    return [line for line in found if line[0] in chosen]


def _weak(history: History) -> list[ChampionRow]:
    """The first champions that a gate found weak."""
    return [
        {"domain": history.domains[key], "domain_href": domain_href("", key), "told": told}
        for key, told in [*history.weak.items()][:BASE]
    ]


def _base(history: History, base: Sequence[BaseProblem]) -> list[BaseRow]:
    """The first domains that the frozen model predicts badly."""
    return [
        {
            "domain": each["domain"],
            "domain_href": domain_href("", each["key"]) if each["key"] in history.domains else "",
            "told": each["told"],
        }
        for each in base[:BASE]
    ]


def _state(name: str, found: bool) -> StateView:
    view = state_view(name)
    return {
        "name": view["name"],
        "mark": view["mark"],
        "label": view["label"],
        "meaning": view["meaning"],
        "found": found,
    }


def months(shown: list[Column]) -> list[Month]:
    """Months of the shown days in order, with their numbers of columns."""
    grouped = groupby(shown, key=lambda column: column["day"][:7])
    return [{"name": name, "days": len(list(days))} for name, days in grouped]


def _score(history: History, key: str, entry: DayEntry) -> float | None:
    row = history.latest(key, entry.day)
    return None if row is None or row.score is None else round(row.score, 3)


def _span(days: list[DayEntry]) -> str:
    return f"{days[0].day} to {days[-1].day}" if days else ""


def _switch(history: History, row: SwitchRecord) -> SwitchRow:
    """A champion switch; linked to its decision where that is the one its page shows."""
    shown = history.shown_decision(row.decision_id)
    return {
        "at": row.at,
        "domain": row.domain,
        "domain_href": domain_href("", row.domain_key),
        "action": row.action,
        "before": champion_text(row.from_version),
        "after": champion_text(row.to_version),
        "who": row.who,
        "reason": row.reason,
        "href": decision_href("", shown) if shown else None,
    }
