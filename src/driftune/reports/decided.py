"""Every decision in a few figures, so that a year of them is read in a moment.

A decision's scores and gate are kilobytes of JSON each. What the site shows of all decisions at
once is kept beside the pages, a file per month; a day of which any decision has changed since is
read from the ledger anew.
"""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa

from driftune.io import read_json, write_text
from driftune.registry.ledger import Ledger
from driftune.registry.schema import decisions

KEPT = ".decisions"
# Days in one query.
CHUNK = 60


class Decided(NamedTuple):
    """A decision: columns of the ledger, and from its JSON the gate's ``gain`` and the champion's
    ``auc`` on the day; None where it has no such figure."""

    id: str
    domain: str
    domain_key: str
    day: str
    revision: int
    state: str
    score: float | None
    champion_version: int
    adapter_version: int | None
    gain: float | None
    auc: float | None


# Of a day: how many decisions it has, and the sum of the times at which each last changed: a clock
# that was set back changes it, too. And the decisions themselves.
Stamp = tuple[int, float]
Day = tuple[Stamp, list[Decided]]


def all_decided(ledger: Ledger, home: Path, release: str) -> tuple[list[Decided], dict[str, Stamp]]:
    """All decisions in the order in which they count, and their days' stamps.

    ``home`` is the site's folder.

    Args:
        release: of the code that reads the figures; those of another release are read anew.
    """
    day = decisions.c.day
    query = sa.select(day, sa.func.count(), sa.func.sum(decisions.c.updated_at))
    stamps = {row[0]: (row[1], row[2]) for row in ledger.read(query.group_by(day))}
    kept = _kept(home / KEPT, release)
    found = {
        day: kept[day] for day, stamp in stamps.items() if day in kept and kept[day][0] == stamp
    }
    new = sorted(stamps.keys() - found.keys())
    for start in range(0, len(new), CHUNK):
        rows = _read(ledger, new[start : start + CHUNK])
        found |= {day: (stamps[day], []) for day in new[start : start + CHUNK]}
        for row in rows:
            found[row.day][1].append(row)
    changed = {day[:7] for day in [*new, *(kept.keys() - found.keys())]}
    _keep(home / KEPT, release, found, changed)
    return [row for day in sorted(found) for row in found[day][1]], stamps


def _read(ledger: Ledger, days: list[str]) -> list[Decided]:
    columns = [decisions.c[name] for name in Decided._fields[:-2]]
    order = (decisions.c.revision, decisions.c.decided_at)
    query = sa.select(*columns).where(decisions.c.day.in_(days)).order_by(*order)
    gain = decisions.c.gate["difference"]["estimate"].as_float()
    auc = decisions.c.scores["told"]["auc"]["to"].as_float()
    try:
        # The database takes two figures out of kilobytes of JSON several times as fast.
        rows: Iterable[Any] = ledger.read(query.add_columns(gain, auc))
    except sa.exc.DBAPIError:
        # A figure that is not a number is no JSON to it.
        whole = ledger.decisions(decisions.c.day.in_(days))
        rows = [
            (
                *(getattr(row, name) for name in Decided._fields[:-2]),
                None if row.gate is None else row.gate.gain,
                row.scores.fact("auc").after,
            )
            for row in sorted(whole, key=lambda row: (row.revision, row.decided_at))
        ]
    made = (Decided._make(row) for row in rows)
    return [
        row._replace(score=_number(row.score), gain=_number(row.gain), auc=_number(row.auc))
        for row in made
    ]


def _number(value: Any) -> float | None:
    usable = isinstance(value, int | float) and math.isfinite(value)
    return float(value) if usable else None


def _kept(folder: Path, release: str) -> dict[str, Day]:
    """What was kept by the same release; a damaged file counts as missing."""
    kept: dict[str, Day] = {}
    for path in folder.glob("????-??.json"):
        try:
            found = read_json(path)
            if found["release"] == release:
                kept |= {
                    day: ((count, last), [Decided._make(row) for row in rows])
                    for day, (count, last, rows) in found["days"].items()
                }
        except (OSError, ValueError, TypeError, KeyError):
            continue
    return kept


def _keep(folder: Path, release: str, found: dict[str, Day], months: set[str]) -> None:
    for month in months:
        days = {day: (*stamp, rows) for day, (stamp, rows) in found.items() if day[:7] == month}
        write_text(folder / f"{month}.json", json.dumps({"release": release, "days": days}))
