"""Split: files that hold many days become a folder of Parquet files for each day."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from driftune.errors import SourceError
from driftune.lake.duck import connect, first_line, identifier, literal, one_row
from driftune.lake.types import has_offset
from driftune.proposal.columns import columns_of, sampled, scan_of
from driftune.proposal.times import SCALES, TimeWriting, time_writing

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
    """Write the rows of the files into ``folder``, by the calendar day of their time in a zone.

    Rows keep their columns and order; CSV's values stay the texts that were written. ``column``:
    that of the time; None: the one that reads as a time best.

    Raises:
        SourceError: when the folder holds something already, no column reads as a time, or a file
            cannot be read.
    """
    if folder.exists() and any(folder.iterdir()):
        raise SourceError(f"{folder}: is not empty; give an empty folder to split into")
    name, writing, kind = _time(files, column)
    folder.mkdir(parents=True, exist_ok=True)
    day = f"({_moment(name, writing, kind)})::DATE"
    scans = " UNION ALL BY NAME ".join(
        f"SELECT * FROM {scan_of(path, strict=True)}" for path in files
    )
    rows = f"SELECT *, {day} AS {_DAY} FROM ({scans})"
    with connect(reach=[*files, folder], timezone=timezone) as con:
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
            raise SourceError(
                f"{files[0]}: cannot be split by {name} ({first_line(error)}); {folder} is not "
                "complete, remove it"
            ) from None
    for path in folder.glob(f"{_DAY}=*"):
        path.rename(folder / path.name.removeprefix(f"{_DAY}="))
    return SplitLog(folder, name, int(days), int(written), int(unread))


def _time(files: Sequence[Path], column: str | None) -> tuple[str, TimeWriting, str]:
    """The column of the time, how it writes times, and its type."""
    with sampled(files[:3]) as con:
        found = {each.name: each for each in columns_of(con)}
        if column is not None and column not in found:
            raise SourceError(f"{files[0]}: has no column '{column}'; {', '.join(found)}")
        tried = [found[column]] if column is not None else list(found.values())
        read = [(each, writing) for each in tried if (writing := time_writing(con, each))]
    if not read:
        named = f"column '{column}'" if column else "no column"
        raise SourceError(
            f"{files[0]}: {named} reads as a time; name another: --answer time=COLUMN"
        )
    best, writing = max(read, key=lambda each: each[0].distinct)
    return best.name, writing, best.kind


def _moment(name: str, writing: TimeWriting, kind: str) -> str:
    """SQL of an instant, or of a time without an offset, which is one of the zone."""
    value = identifier(name)
    if writing.unit:
        return f"to_timestamp(TRY_CAST({value} AS DOUBLE) / {SCALES[writing.unit]})"
    if writing.format:
        return f"try_strptime(trim({value}::VARCHAR), {literal(writing.format)})"
    return value if has_offset(kind) else f"TRY_CAST({value} AS TIMESTAMP)"
