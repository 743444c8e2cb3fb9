"""Every decision in a few figures, so that a year of them is read in a moment.

A decision's scores and gate are kilobytes of JSON each. What the site shows of all decisions at
once is kept beside the pages, with the time of the decision's last change: one that has changed
since is read from the ledger anew.
"""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa

from driftune.files import read_json, write_text
from driftune.registry.ledger import Ledger
from driftune.registry.schema import decisions

KEPT = ".decisions.json"
# Ids in one query.
CHUNK = 500
_LIGHT = ("id", "domain", "domain_key", "day", "revision", "state", "score", "champion_version",
          "adapter_version", "decided_at", "updated_at")  # fmt: skip


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
    decided_at: float
    updated_at: float
    gain: float | None
    auc: float | None


def all_decided(ledger: Ledger, home: Path, release: str) -> list[Decided]:
    """All decisions in the order in which they count; ``home`` is the site's folder.

    Args:
        release: of the code that reads the figures; those of another release are read anew.
    """
    rows = ledger.read(sa.select(*(decisions.c[name] for name in _LIGHT)))
    kept = _kept(home / KEPT, release)
    known = {row.id: kept[row.id][1:] for row in rows if _holds(kept, row)}
    new = [row.id for row in rows if row.id not in known]
    for start in range(0, len(new), CHUNK):
        known |= _read(ledger, new[start : start + CHUNK])
    if new or len(kept) != len(rows):
        text = {row.id: [row.updated_at, *known[row.id]] for row in rows}
        write_text(home / KEPT, json.dumps({"release": release, "decisions": text}))
    found = [
        Decided._make((*row, *known[row.id]))
        if row.score is None or math.isfinite(row.score)
        else Decided._make((*row, *known[row.id]))._replace(score=None)
        for row in rows
    ]
    found.sort(key=lambda row: (row.day, row.revision, row.decided_at))
    return found


def auc_gain(gate: dict[str, Any] | None) -> float | None:
    """Challenger minus champion in the gate's metric; None when the gate has no such figure."""
    return _number(((gate or {}).get("difference") or {}).get("estimate"))


def _read(ledger: Ledger, ids: list[str]) -> dict[str, list[float | None]]:
    of_ids = decisions.c.id.in_(ids)
    gain = decisions.c.gate["difference"]["estimate"].as_float()
    auc = decisions.c.scores["told"]["auc"]["to"].as_float()
    try:
        # The database takes two figures out of kilobytes of JSON several times as fast.
        rows = ledger.read(sa.select(decisions.c.id, gain, auc).where(of_ids))
        return {row[0]: [_number(row[1]), _number(row[2])] for row in rows}
    except sa.exc.DBAPIError:
        # A figure that is not a number is no JSON to it.
        query = sa.select(decisions.c.id, decisions.c.gate, decisions.c.scores)
        rows = ledger.read(query.where(of_ids))
        return {row[0]: [auc_gain(row[1]), _auc(row[2])] for row in rows}


def _auc(scores: dict[str, Any] | None) -> float | None:
    told = ((scores or {}).get("told") or {}).get("auc") or {}
    return _number(told.get("to"))


def _number(value: Any) -> float | None:
    usable = isinstance(value, int | float) and math.isfinite(value)
    return float(value) if usable else None


def _kept(path: Path, release: str) -> dict[str, list[Any]]:
    try:
        found = read_json(path)
        return dict(found["decisions"]) if found["release"] == release else {}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def _holds(kept: dict[str, list[Any]], row: Any) -> bool:
    return row.id in kept and kept[row.id][0] == row.updated_at
