"""Parsed text: its rows in a Parquet file beside the staged day, written once and read often."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from driftune.lake.derived import Derived, names, with_derived
from driftune.lake.duck import DICTIONARY, Connection, literal, parquet

_ROW_NUMBER = "file_row_number"


@dataclass(frozen=True)
class Parsed:
    """The rows of a text file: ``relation`` (SQL), with ``_driftune_row``, and how many; the names
    of the columns ``derived`` from texts."""

    relation: str
    rows: int
    derived: tuple[str, ...]


def write_parsed(
    con: Connection, scan: str, columns: Collection[str], derived: Derived, target: Path
) -> Parsed:
    """Write what ``scan`` reads, with these columns and those ``derived`` from them, in its order.

    Raises:
        duckdb.Error: where it cannot be read.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    made = names(derived)
    taken = _ROW_NUMBER in {name.lower() for name in columns}
    numbered = "row_number() OVER () AS _driftune_row, " if taken else ""
    (rows,) = con.execute(
        f"COPY (SELECT {numbered}* FROM {with_derived(scan, derived)}) TO {literal(str(target))} "
        f"(FORMAT parquet, COMPRESSION lz4, DICTIONARY_SIZE_LIMIT {DICTIONARY})"
    ).fetchall()[0]
    if taken:
        return Parsed(parquet(target), int(rows), made)
    found = parquet(target, options=f"{_ROW_NUMBER}=true")
    named = f"* EXCLUDE ({_ROW_NUMBER}), {_ROW_NUMBER} + 1 AS _driftune_row"
    return Parsed(f"(SELECT {named} FROM {found})", int(rows), made)
