"""Months: the map's cells beyond those that the front page holds, as scripts that it loads.

A file per month beside the page, written only when something of its days has changed: a daily
refresh writes those of the newest days, however many months there are. Scripts, as a page that is
opened from disk may load nothing else.
"""

import hashlib
import json
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from driftune.io import Json, write_text
from driftune.reports.history import DayEntry, History
from driftune.reports.links import champion_text
from driftune.reports.map_data import domain_cells
from driftune.visible import visible

FOLDER = "data"


def write_months(history: History, home: Path, release: str, rows: int) -> None:
    """Bring the site's month files up to date, and the list of its domains.

    Args:
        release: of the code; files of another one are written anew.
        rows: domains that the page itself holds; no more need no list.
    """
    folder, kept = home / FOLDER, set[str]()
    for month, days in groupby(history.days, key=lambda entry: entry.text[:7]):
        path = folder / f"{month}.js"
        kept.add(path.name)
        entries = list(days)
        stamp = _stamp(history, entries, release)
        if not _has(path, stamp):
            cells = {key: domain_cells(history, key, entries) for key in history.domains}
            data = {"days": [entry.text for entry in entries], "domains": cells}
            _write(path, f"month({json.dumps(month)}, {json.dumps(data)})", stamp)
    if len(history.domains) > rows:
        path = folder / "domains.js"
        kept.add(path.name)
        names: list[Json] = [
            [key, visible(name), champion_text(history.champions[key])]
            for key, name in history.domains.items()
        ]
        stamp = _hash([release, *names])
        if not _has(path, stamp):
            _write(path, f"domains({json.dumps(names)})", stamp)
    for path in folder.glob("*.js"):
        if path.name not in kept:
            path.unlink()


def _stamp(history: History, entries: Sequence[DayEntry], release: str) -> str:
    """A hash of what the cells of a month are made of."""
    first, last = entries[0].text, entries[-1].text
    days: list[Json] = [
        [
            entry.text,
            [*history.stamps.get(entry.text, ())],
            entry.verdict,
            entry.record is not None,
            "" if entry.quality is None else json.dumps(entry.quality.domains),
        ]
        for entry in entries
    ]
    # Promotions after the month say no more of it than that there was one.
    known: list[Json] = [
        [key, before, min(trained, last)]
        for key in history.domains
        for before, trained in [history.known_from(key)]
    ]
    aged = min(max(history.kept, first), last + "~")
    return _hash([release, aged, days, known])


def _hash(values: Sequence[Json]) -> str:
    text = json.dumps(values)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _has(path: Path, stamp: str) -> bool:
    try:
        with path.open(encoding="utf-8") as file:
            return file.readline().strip() == f"// {stamp}"
    except OSError:
        return False


def _write(path: Path, call: str, stamp: str) -> None:
    write_text(path, f"// {stamp}\nwindow.driftuneMap.{call};\n")
