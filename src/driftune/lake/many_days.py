"""Files that hold many days (``source.day_from: time``): each version of one is parted by day once.

The rows of a day become Parquet files of their own in the workspace, that are read as if they had
been delivered so. A row whose time cannot be read belongs to the day of the nearest row before it
in its file that has one, the first rows to that of the next; it is quarantined there.
"""

import hashlib
import json
import logging
import os
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.errors import SourceError
from driftune.io import read_json, write_json
from driftune.lake import roles, times
from driftune.lake.duck import Connection, connect, first_line, identifier, literal, one_row
from driftune.lake.finding import Found, format_of, partitions_of
from driftune.lake.loading import Loaded, load
from driftune.lake.source import Fetched, SourceFile, bring, hashed, name_of
from driftune.locks import locked

log = logging.getLogger("driftune")

INDEX = "days.json"
# A run that works with an older version of a file has ended by then.
LEFT_SECONDS = 24 * 3600
_FORMAT = 1
_DAY = "_driftune_day"


@dataclass(frozen=True)
class PartedFile:
    """A version of a file: what messages call it, and the parts of each of its days."""

    said: str
    days: dict[date, tuple[SourceFile, ...]]


def parted_files(config: Config, found: Found) -> list[PartedFile]:
    """The files by day; a version that is new is read whole, others not at all.

    Raises:
        SourceError: when one cannot be read, has no time that can be read, or has lines that are
            no rows.
    """
    return [_parted(config, found, name) for name in found.names]


def _parted(config: Config, found: Found, name: str) -> PartedFile:
    said = name_of(config, found, name)
    home = Workspace(config).many_days
    folder = home / hashlib.sha256(_version(config, found, name, said).encode()).hexdigest()[:32]
    with locked(home / f".{folder.name}.lock"):
        if not (folder / INDEX).exists():
            home.mkdir(parents=True, exist_ok=True)
            part = home / f".{folder.name}.part"
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            try:
                _part(config, found, name, part)
                part.rename(folder)
            finally:
                shutil.rmtree(part, ignore_errors=True)
            _drop_older(home, said)
    # What is not used for long is dropped.
    os.utime(folder / INDEX)
    days: dict[date, tuple[SourceFile, ...]] = {}
    for iso, day in read_json(folder / INDEX)["days"].items():
        files = []
        for number, file in enumerate(day["files"]):
            path = folder / file
            found_now = path.stat()
            mark = day["content"] if not number else _digest([day["content"], number])
            files.append(
                SourceFile(said, path, "parquet", found_now.st_size, mark, found_now.st_mtime_ns)
            )
        days[date.fromisoformat(iso)] = tuple(files)
    return PartedFile(said, days)


def _version(config: Config, found: Found, name: str, said: str) -> str:
    """What a file is known by without reading it, and what of params.yaml says how it is read."""
    if found.is_local:
        now = Path(name).stat()
        stamp = [f"{part}" for part in (now.st_size, now.st_mtime_ns, now.st_ctime_ns)]
    else:
        info = found.filesystem.info(name)
        marks = ("ETag", "etag", "generation", "md5Hash", "LastModified", "updated", "mtime")
        stamp = [str(info.get(mark)) for mark in (*marks, "size")]
    source = config.source.model_dump(mode="json", include={"format", "csv", "partitions"})
    read = [config.timezone, source, config.columns.model_dump(mode="json")]
    features = config.features.model_dump(mode="json", include={"categorical", "numerical"})
    return json.dumps([_FORMAT, said, stamp, read, features], sort_keys=True)


def _part(config: Config, found: Found, name: str, folder: Path) -> None:
    """Write the days of a file into ``folder``."""
    path, said = bring(config, found, name, folder / "delivered" / Path(name).name)
    kind = format_of(config.source.format, path.name, said)
    file = hashed(path, said, kind, partitions_of(config, said))
    database = folder / "parts.duckdb"
    memory, zone = config.resources.memory, config.timezone
    with connect(database, reach=[path, folder], timezone=zone, memory=memory) as con:
        fetched = Fetched(config.reference.first, (file,))
        loaded = load(con, config, fetched, folder / "plain")
        if loaded.unreadable:
            line, problem = one_row(
                con, "SELECT line, problem FROM unreadable ORDER BY line LIMIT 1"
            )
            raise SourceError(
                f"{said}: line {line} {problem}, and of a file of many days (source.day_from: "
                "time) nobody knows its day; correct the line, or deliver a file a day"
            )
        try:
            index = _write_days(con, config, loaded, said, folder)
        except duckdb.Error as error:
            fetched.check_unchanged()
            raise SourceError(
                f"{said}: its days cannot be told by columns.time ({first_line(error)}); correct "
                "columns.time"
            ) from None
        fetched.check_unchanged()
    for left in ("delivered", "plain"):
        shutil.rmtree(folder / left, ignore_errors=True)
    for beside in folder.glob("parts.duckdb*"):
        beside.unlink()
    write_json(folder / INDEX, index)


def _write_days(
    con: Connection, config: Config, loaded: Loaded, said: str, folder: Path
) -> dict[str, str | dict[str, dict[str, str | int | list[str]]]]:
    day = _day_of(con, config, loaded, said)
    names = [identifier(name) for name in loaded.types]
    con.execute(f"CREATE TABLE dated AS SELECT _driftune_id AS id, {day} AS day FROM raw")
    rows, known, first = one_row(con, "SELECT count(*), count(day), arg_min(day, id) FROM dated")
    if rows != loaded.rows or not known:
        why = (
            f"makes {rows:,} times of {loaded.rows:,} rows" if known else "reads none of its times"
        )
        raise SourceError(f"{said}: columns.time {why}; correct columns.time")
    days = f"SELECT {', '.join(names)}, {day} AS {_DAY} FROM raw"
    if known < rows:
        con.execute(
            "CREATE TABLE placed AS SELECT id, coalesce(day, last_value(day IGNORE NULLS) OVER "
            f"(ORDER BY id ROWS UNBOUNDED PRECEDING), '{first}'::DATE) AS day FROM dated"
        )
        days = (
            f"SELECT {', '.join(names)}, placed.day AS {_DAY} FROM raw "
            "JOIN placed ON _driftune_id = placed.id ORDER BY _driftune_id"
        )
    text = f"row({', '.join(names)})::VARCHAR"
    counted = con.execute(
        f"SELECT {_DAY}, count(*), sum(md5_number_lower({text})), sum(md5_number_upper({text})) "
        f"FROM ({days}) GROUP BY 1 ORDER BY 1"
    ).fetchall()
    # One thread keeps the order.
    con.execute("SET threads = 1")
    con.execute(
        f"COPY ({days}) TO {literal(str(folder / 'days'))} (FORMAT parquet, COMPRESSION zstd, "
        f"PARTITION_BY ({_DAY}), FILENAME_PATTERN 'rows_{{i}}')"
    )
    index: dict[str, dict[str, str | int | list[str]]] = {}
    for value, number, low, high in counted:
        # The same rows are the same content, whatever else the file holds.
        content = _digest([number, str(low), str(high), list(loaded.types.items())])
        found = sorted(
            (folder / "days" / f"{_DAY}={value}").iterdir(),
            key=lambda path: int(path.stem.removeprefix("rows_")),
        )
        files = [str(path.relative_to(folder)) for path in found]
        index[f"{value}"] = {"rows": number, "content": content, "files": files}
    _say(config, said, {value: number for value, number, *_ in counted}, rows - known)
    return {"file": said, "days": index}


def _day_of(con: Connection, config: Config, loaded: Loaded, said: str) -> str:
    """SQL over ``raw`` of a row's calendar day in the zone; null where its time is unreadable."""
    role = config.columns.time
    if isinstance(role.role, str) and role.role.split(".")[0] not in {
        name.split(".")[0] for name in loaded.types
    }:
        there = ", ".join(loaded.types)
        raise SourceError(
            f"{said}: has no column '{role.role}', which columns.time names; there are {there}"
        )
    value = roles.expression(role.role)
    kind = str(one_row(con, f"DESCRIBE SELECT {value} AS value FROM raw")[1])
    offsets: times.Offsets = "some" if times.is_text(role, kind) else "none"
    found = []
    if (instant := times.instant(role, value, kind, offsets)) is not None:
        found.append(f"timezone({literal(config.timezone)}, timezone('UTC', {instant}))")
    if (wall := times.wall_clock(role, value, kind, offsets)) is not None:
        found.append(wall)
    local = f"coalesce({', '.join(found)})"
    return f"CASE WHEN isfinite({local}) THEN ({local})::DATE END"


def _say(config: Config, said: str, days: dict[date, int], unread: int) -> None:
    """Say what of a new version no run takes by itself, and which rows have no day of their own."""
    first, last = min(days), max(days)
    log.info("%s: holds %d days, %s to %s", said, len(days), first, last)
    if unread:
        log.warning(
            "%s: %d rows have a time that columns.time cannot read; each is quarantined on the day "
            "of the row before it",
            *(said, unread),
        )
    today = datetime.now(UTC).astimezone(config.zone).date()
    for what, outside in (
        ("before reference.first", [day for day in days if day < config.reference.first]),
        ("in the future", [day for day in days if day > today]),
    ):
        if outside:
            rows = sum(days[day] for day in outside)
            log.warning(
                "%s: %d rows of %d days lie %s (%s to %s); no run takes them by itself, "
                "driftune run --day takes one",
                *(said, rows, len(outside), what, min(outside), max(outside)),
            )


def _drop_older(home: Path, said: str) -> None:
    """Drop the versions of a file that nobody has used for a day."""
    for index in home.glob(f"*/{INDEX}"):
        old = time.time() - index.stat().st_mtime > LEFT_SECONDS
        if old and read_json(index).get("file") == said:
            shutil.rmtree(index.parent, ignore_errors=True)


def _digest(marks: list[str | int | list[tuple[str, str]]]) -> str:
    return hashlib.sha256(json.dumps(marks).encode()).hexdigest()


def span(files: list[PartedFile]) -> str:
    """The days that some files hold, in words."""
    days = sorted({day for file in files for day in file.days})
    whole = len(days) == (days[-1] - days[0]) // timedelta(days=1) + 1
    return f"{days[0]} to {days[-1]}{'' if whole else ' with gaps'}"
