"""Parsed text: its rows in a Parquet file beside the staged day, written once and read often."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from driftune.lake.duck import Connection, literal, parquet

_ROW_NUMBER = "file_row_number"


@dataclass(frozen=True)
class Parsed:
    """The rows of a text file: ``relation`` (SQL), with ``_driftune_row``, and how many."""

    relation: str
    rows: int


def write_parsed(con: Connection, scan: str, columns: Collection[str], target: Path) -> Parsed:
    """Write what ``scan`` reads, with these columns, in its order.

    Raises:
        duckdb.Error: where it cannot be read.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    taken = _ROW_NUMBER in {name.lower() for name in columns}
    numbered = "row_number() OVER () AS _driftune_row, " if taken else ""
    (rows,) = con.execute(
        f"COPY (SELECT {numbered}* FROM {scan}) TO {literal(str(target))} "
        "(FORMAT parquet, COMPRESSION lz4)"
    ).fetchall()[0]
    if taken:
        return Parsed(parquet(target), int(rows))
    found = parquet(target, options=f"{_ROW_NUMBER}=true")
    named = f"* EXCLUDE ({_ROW_NUMBER}), {_ROW_NUMBER} + 1 AS _driftune_row"
    return Parsed(f"(SELECT {named} FROM {found})", int(rows))
