"""Split: files that hold many days become a folder of Parquet files for each day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from driftune.errors import SourceError
from driftune.lake.duck import connect, first_line, identifier, literal, one_row
from driftune.lake.finding import format_of
from driftune.proposal.columns import columns_of, sampled, scan_of
from driftune.proposal.files import log_files
from driftune.proposal.times import (
    FIRST,
    FIRST_YEAR,
    LAST,
    LAST_YEAR,
    SCALES,
    TimeWriting,
    time_writing,
)

UNREADABLE = "_unreadable.parquet"
_DAY = "_driftune_day"


@dataclass(frozen=True)
class SplitLog:
    """What was written: ``days`` in ``folder``, by the times of ``column``; ``unreadable`` rows
    whose time cannot be read lie beside them."""

    folder: Path
    column: str
    days: int
    rows: int
    unreadable: int


def split_days(files: Sequence[Path], column: str | None, timezone: str, folder: Path) -> SplitLog:
    """Write the rows of files and folders into ``folder``, by their time's calendar day in a zone.

    Rows keep their columns and order; CSV's values stay the texts that were written. ``column``:
    that of the time; None: the one that reads as a time best.

    Raises:
        SourceError: when the folder holds something already, no column reads as a time, or a file
            is JSON or cannot be read.
    """
    if folder.exists() and any(folder.iterdir()):
        raise SourceError(f"{folder}: is not empty; give an empty folder to split into")
    files = log_files(files)
    for path in files:
        if format_of("auto", path.name, str(path)) == "jsonl":
            raise SourceError(
                f"{path}: JSON is not split, its values would change their types; deliver one file "
                "a day"
            )
    column, moment = _time(files, column)
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    scans = " UNION ALL BY NAME ".join(
        f"SELECT * FROM {scan_of(path, strict=True)}" for path in files
    )
    # What is of no year of logs, such as a time of 0, is none.
    dated = f"SELECT *, ({moment})::DATE AS {_DAY} FROM ({scans})"
    rows = (
        f"SELECT * REPLACE (CASE WHEN year({_DAY}) BETWEEN {FIRST_YEAR} AND {LAST_YEAR} "
        f"THEN {_DAY} END AS {_DAY}) FROM ({dated})"
    )
    aside = folder.with_name(f".{folder.name}.spill")
    with connect(reach=[*files, folder], timezone=timezone, spill=aside) as con:
        try:
            # One thread keeps the order.
            con.execute("SET threads = 1")
            con.execute(
                f"COPY (SELECT * FROM ({rows}) WHERE {_DAY} IS NOT NULL) TO "
                f"{literal(str(folder))} (FORMAT parquet, COMPRESSION zstd, "
                f"PARTITION_BY ({_DAY}), FILENAME_PATTERN 'rows_{{i}}')"
            )
            written, days = one_row(
                con, f"SELECT count({_DAY}), count(DISTINCT {_DAY}) FROM ({rows})"
            )
            (unread,) = one_row(con, f"SELECT count(*) FROM ({rows}) WHERE {_DAY} IS NULL")
            if unread:
                con.execute(
                    f"COPY (SELECT * EXCLUDE ({_DAY}) FROM ({rows}) WHERE {_DAY} IS NULL) TO "
                    f"{literal(str(folder / UNREADABLE))} (FORMAT parquet, COMPRESSION zstd)"
                )
        except duckdb.Error as error:
            left = f"; {folder} is not complete, remove it"
            if not any(folder.iterdir()):
                left = ""
                if made:
                    folder.rmdir()
            raise SourceError(
                f"{files[0]}: cannot be split by {column} ({first_line(error)}){left}"
            ) from None
    for path in folder.glob(f"{_DAY}=*"):
        path.rename(folder / path.name.removeprefix(f"{_DAY}="))
    return SplitLog(folder, column, int(days), int(written), int(unread))


def days_of(files: Sequence[Path], column: str | None, timezone: str) -> list[date]:
    """The calendar days in a zone that rows of files have by their time, in order.

    Raises:
        SourceError: when no column reads as a time, or a file cannot be read.
    """
    column, moment = _time(files, column)
    scans = " UNION ALL ".join(
        f"SELECT DISTINCT ({moment})::DATE AS day FROM {scan_of(path, strict=True)}"
        for path in files
    )
    with connect(reach=files, timezone=timezone) as con:
        try:
            found = con.execute(
                f"SELECT DISTINCT day FROM ({scans}) "
                f"WHERE year(day) BETWEEN {FIRST_YEAR} AND {LAST_YEAR} ORDER BY day"
            ).fetchall()
        except duckdb.Error as error:
            raise SourceError(
                f"{files[0]}: its days cannot be told by {column} ({first_line(error)})"
            ) from None
    return [day for (day,) in found]


def _time(files: Sequence[Path], column: str | None) -> tuple[str, str]:
    """The column of the time, and SQL of its moment."""
    with sampled(files[:3]) as con:
        found = {each.name: each for each in columns_of(con)}
        if column is not None and column not in found:
            raise SourceError(f"{files[0]}: has no column '{column}'; {', '.join(found)}")
        tried = [found[column]] if column is not None else list(found.values())
        read = [(each, writing) for each in tried if (writing := time_writing(con, each))]
    if not read:
        named = f"column '{column}' does not read" if column else "no column reads"
        raise SourceError(f"{files[0]}: {named} as a time; name another: --answer time=COLUMN")
    best, writing = max(read, key=lambda each: each[0].distinct)
    value = best.role["sql"] if isinstance(best.role, dict) else identifier(best.name)
    return best.name, _moment(value, writing, best.kind)


def _moment(value: str, writing: TimeWriting, kind: str) -> str:
    """SQL of an instant, or of a time without an offset, which is one of the zone."""
    if writing.unit:
        scale, number = SCALES[writing.unit], f"TRY_CAST({value} AS DOUBLE)"
        inside = f"{number} BETWEEN {FIRST * scale} AND {LAST * scale}"
        return f"to_timestamp(CASE WHEN {inside} THEN {number} / {scale} END)"
    if writing.format:
        return f"try_strptime(trim({value}::VARCHAR), {literal(writing.format)})"
    # A text with an offset is an instant; one without is a time of the connection's zone.
    return f"TRY_CAST(trim({value}) AS TIMESTAMPTZ)" if kind == "VARCHAR" else value
