"""The heat map's cells: as the page holds them, and as its script reads them."""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

from driftune.registry.decision_queries import Decided
from driftune.reports.history import DayEntry, History
from driftune.reports.links import cell_href
from driftune.reports.states import (
    ALERT,
    QUIET,
    STATES,
    WITHOUT,
    gain_text,
    heat_step,
    score_text,
    state_view,
    verdict_view,
)

# One character each in the script's data, "z" for an unknown state.
CODES = dict(zip([*STATES, *WITHOUT], "0123456789abcdefghijklmnopqrstuvwxy", strict=False))
UNKNOWN = "z"


class Column(TypedDict):
    """A day of the map; ``short``: its number in the month."""

    day: str
    short: str
    href: str | None
    verdict: dict[str, str]


class Cell(TypedDict):
    """A domain's cell of a day."""

    state: dict[str, str]
    step: str
    score: str
    gain: str
    href: str | None
    title: str
    alert: str


class DomainCells(TypedDict):
    """A domain's cells of some days, as the page's script reads them."""

    states: str
    steps: str
    pages: str
    scores: str
    gains: dict[str, str]
    alerts: NotRequired[dict[str, str]]


class MapData(TypedDict):
    """All days of the map, and the cells of the page, as the page's script reads them; ``first``:
    the place of the first day that the page shows; ``total``: of domains.
    """

    days: list[str]
    first: int
    total: int
    recorded: str
    verdicts: list[str | None]
    marks: dict[str, dict[str, str]]
    codes: dict[str, dict[str, str]]
    quiet: list[str]
    domains: list[DomainCells]


def columns(history: History, entries: list[DayEntry]) -> list[Column]:
    """Days as columns: date, address of the day's page where it has one, quality verdict."""
    return [
        {
            "day": entry.day.isoformat(),
            "short": str(entry.day.day),
            "href": f"day/{entry.day}.html" if history.is_recorded(entry.day) else None,
            "verdict": verdict_view(entry.verdict),
        }
        for entry in entries
    ]


def cell_view(history: History, key: str, entry: DayEntry) -> Cell:
    """A domain's cell of a day; ``title`` says all of it in words."""
    row = history.latest(key, entry.day)
    if row is None:
        refused = _refused(history, key, entry)
        state = state_view(_without(history, key, entry))
        title = state["label"].capitalize()
        return {
            "state": state,
            "step": "hx",
            "score": "",
            "gain": "",
            "href": f"day/{entry.day}.html" if refused else None,
            "title": title if refused else f"{title}: {state['meaning']}",
            "alert": "",
        }
    score, state = score_text(row.score), state_view(_state(history, entry, row))
    gain = gain_text(row.gain)
    parts = [state["label"].capitalize()]
    if score:
        parts.append(f"drift {score}, 1 triggers")
    if gain:
        parts.append(f"AUC {gain}")
    if row.alert:
        parts.append(f"{ALERT['label']}: {row.alert}")
    return {
        "state": state,
        "step": heat_step(row.score),
        "score": score,
        "gain": gain if row.state == "promoted" else "",
        "href": cell_href(history, "", row),
        "title": "; ".join(parts),
        "alert": ALERT["mark"] if row.alert else "",
    }


def _state(history: History, entry: DayEntry, row: Decided) -> str:
    """The decision's state; of a domain whose rows of the day were refused, that."""
    # Earlier releases wrote such a domain down as one with too little data.
    kept_out = row.state == "insufficient" and _refused(history, row.domain_key, entry)
    return "refused" if kept_out else row.state


def _without(history: History, key: str, entry: DayEntry) -> str:
    """Why a domain has no decision of a day: the name of a state, or of a reason in ``WITHOUT``."""
    if _refused(history, key, entry):
        return "refused"
    if entry.quality is None and entry.record is None:
        return "not-run"
    first, trained = history.known_from(key)
    if first > entry.text and (key, entry.text) not in history.counts:
        return "not-known"
    return "trained" if trained >= entry.text else "not-come"


def _refused(history: History, key: str, entry: DayEntry) -> bool:
    """Whether the day was refused, or the domain's rows of it."""
    counts = history.counts.get((key, entry.text))
    return "refused" in (entry.verdict, counts.get("verdict") if counts else None)


def map_data(history: History, keys: Sequence[str], period: int) -> MapData:
    """All days of the map, and of the newest ``period`` the cells of the page's domains (keys).

    ``domains`` in the order of the page's rows, a character or a short text per cell: ``states``
    by ``codes``, ``steps`` of the colour scale (``x`` without a score), ``scores`` as texts,
    ``gains`` and marks of ``alerts`` by place.
    ``pages``: whether a cell has a page of its own (1), or is told on its day's page.
    """
    return {
        "days": [entry.day.isoformat() for entry in history.days],
        "first": max(0, len(history.days) - period),
        "total": len(history.domains),
        "recorded": "".join("01"[history.is_recorded(entry.day)] for entry in history.days),
        "verdicts": [entry.verdict for entry in history.days],
        "marks": {name: verdict_view(name) for name in {e.verdict for e in history.days} if name}
        | {"": verdict_view(None)},
        "codes": {code: state_view(name) for name, code in CODES.items()}
        | {UNKNOWN: state_view("unknown")},
        "quiet": [*QUIET, "missing"],
        "domains": [domain_cells(history, key, history.days[-period:]) for key in keys],
    }


def domain_cells(history: History, key: str, entries: Sequence[DayEntry]) -> DomainCells:
    """A domain's cells of days; see ``map_data``."""
    states, steps, pages, scores = list[str](), list[str](), list[str](), list[str]()
    gains: dict[str, str] = {}
    alerts: dict[str, str] = {}
    for place, entry in enumerate(entries):
        row = history.latest_on(key, entry.text)
        if row is None:
            states.append(CODES[_without(history, key, entry)])
            steps.append("x")
            pages.append("0")
            scores.append("")
            continue
        states.append(CODES.get(_state(history, entry, row), UNKNOWN))
        steps.append(heat_step(row.score)[1])
        pages.append("01"[(key, row.day) in history.pages])
        scores.append(score_text(row.score))
        if row.gain is not None:
            gains[str(place)] = gain_text(row.gain)
        if row.alert:
            alerts[str(place)] = ALERT["mark"]
    found: DomainCells = {
        "states": "".join(states),
        "steps": "".join(steps),
        "pages": "".join(pages),
        "scores": ",".join(scores),
        "gains": gains,
    }
    return {**found, "alerts": alerts} if alerts else found
