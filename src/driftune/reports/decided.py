"""Every decision in a few figures, so that a year of them is read in a moment.

A decision's scores and gate are kilobytes of JSON each. What the site shows of all decisions at
once is kept beside the pages, a file per month; a day of which any decision has changed since is
read from the ledger anew.
"""

import json
from pathlib import Path

from driftune.io import read_json, write_text
from driftune.registry.decision_queries import Decided, Stamp, day_stamps, decided_on
from driftune.registry.ledger import Ledger

KEPT = ".decisions"
# Days in one query.
CHUNK = 60


# A day's stamp and decisions.
Day = tuple[Stamp, list[Decided]]


def all_decided(ledger: Ledger, home: Path, release: str) -> tuple[list[Decided], dict[str, Stamp]]:
    """All decisions in the order in which they count, and their days' stamps.

    ``home`` is the site's folder.

    Args:
        release: of the code that reads the figures; those of another release are read anew.
    """
    stamps = day_stamps(ledger)
    kept = _kept(home / KEPT, release)
    found = {
        day: kept[day] for day, stamp in stamps.items() if day in kept and kept[day][0] == stamp
    }
    new = sorted(stamps.keys() - found.keys())
    for start in range(0, len(new), CHUNK):
        rows = decided_on(ledger, new[start : start + CHUNK])
        found |= {day: (stamps[day], []) for day in new[start : start + CHUNK]}
        for row in rows:
            found[row.day][1].append(row)
    changed = {day[:7] for day in [*new, *(kept.keys() - found.keys())]}
    _keep(home / KEPT, release, found, changed)
    return [row for day in sorted(found) for row in found[day][1]], stamps


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
