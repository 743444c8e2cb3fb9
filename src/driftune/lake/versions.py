"""The lake's versions of a day: what was replaced stays readable until it is pruned or erased."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TypedDict

import duckdb

from driftune.config import Config
from driftune.errors import LakeError
from driftune.io import replacing
from driftune.lake.duck import first_line, literal, one_row
from driftune.lake.scratch import connect_within
from driftune.lake.store import store_of
from driftune.lake.table import Lake, open_table


class DayVersion(TypedDict):
    """A commit of a day: the table's version, its time (ISO 8601, UTC), and whether it is left."""

    version: int
    at: str
    content: str | None
    rows: int
    readable: bool


def day_versions(config: Config, day: date) -> list[DayVersion]:
    """The commits of a day, oldest first.

    Each with ``version`` (of the table), ``at`` (ISO 8601 in UTC), ``content`` (hash), ``rows``
    and ``readable``: whether its files are still there.

    Raises:
        LakeError: when the lake's log cannot be read.
    """
    store = store_of(config)
    table = open_table(store)
    if table is None:
        return []
    found: list[DayVersion] = []
    for entry in table.history():
        if not _is_of(entry, day):
            continue
        view = Lake.at(store, entry["version"])
        readable = day in view.files and view.damage(day, deep=False) is None
        moment = datetime.fromtimestamp(entry["timestamp"] / 1000, UTC)
        found.append(
            {
                "version": entry["version"],
                "at": moment.isoformat(timespec="seconds"),
                "content": entry.get("driftune.content"),
                "rows": view.rows[day] if readable else 0,
                "readable": readable,
            }
        )
    return sorted(found, key=lambda row: row["version"])


def export_day(config: Config, day: date, version: int, target: Path) -> int:
    """Write a day as the lake held it at a version to a Parquet file; returns its rows.

    It has every column that the lake had then, null where the day was without it.

    Raises:
        LakeError: when there is no such version, it lacks the day or its files, or the file
            cannot be written.
    """
    view = Lake.at(store_of(config), version)
    if day in view.files and view.damage(day, deep=False) is not None:
        raise LakeError(
            f"{day} at version {version} is gone (pruned, or rows were erased); driftune lake "
            f"versions {day} lists what is left"
        )
    try:
        with connect_within(config, [view.place, target.parent]) as con, replacing(target) as part:
            relation = view.whole_relation(con, [day])
            copy = f"COPY (FROM {relation}) TO {literal(str(part))}"
            return int(one_row(con, f"{copy} (FORMAT parquet, COMPRESSION zstd)")[0])
    except (OSError, duckdb.Error) as error:
        raise LakeError(f"{target}: cannot be written ({first_line(error)})") from None


def _is_of(entry: Mapping[str, str | int | dict[str, str] | None], day: date) -> bool:
    # Earlier releases named the day only in the predicate that they replaced.
    parameters = entry.get("operationParameters")
    predicate = (parameters.get("predicate") if isinstance(parameters, dict) else None) or ""
    return entry.get("driftune.day") == day.isoformat() or f"'{day}'" in predicate
