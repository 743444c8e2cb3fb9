"""Load: the day's files as one relation ``raw``, as they were delivered.

Parquet is read where it lies, as often as it is needed: a copy of it would cost more than the
whole checkpoint. Text is parsed once, into a table.
"""

import duckdb

from driftune.errors import SourceError
from driftune.lake.duck import Connection, first_line, identifier, is_out_of_room, literal, one_row
from driftune.lake.source import Fetched, SourceFile

# Every name of our own is prefixed: a delivered column may be called anything else.
_OWN = ("_driftune_id", "_driftune_row", "_driftune_file", "_driftune_fingerprint")
_ROW_NUMBER = "file_row_number"


def load(con: Connection, fetched: Fetched) -> int:
    """Create the view ``raw`` over all files, and return its number of rows.

    It holds the delivered columns, each of the type that holds what every file delivers, and
    ``_driftune_id`` (1 … rows), ``_driftune_file``, ``_driftune_row`` (1 … within the file) and
    ``_driftune_fingerprint``, equal for rows whose delivered values are equal.

    Raises:
        SourceError: for a file that breaks off or changes while it is read, or no rows at all.
    """
    types = _common_types(con, fetched)
    parts, rows = [], 0
    for number, file in enumerate(fetched.files):
        scan, count = _rows_of(con, fetched, number)
        columns = ", ".join(f"{identifier(name)}::{types[name]} AS {identifier(name)}"
                            for name in file.columns)  # fmt: skip
        parts.append(
            f"SELECT {rows} + _driftune_row AS _driftune_id, _driftune_row, "
            f"{literal(file.uri)} AS _driftune_file, {columns} FROM {scan}"
        )
        rows += count
    if rows == 0:
        raise SourceError(f"{fetched.files[0].uri}: the file holds no rows; deliver it again")
    values = ", ".join(map(identifier, types))
    con.execute(
        f"CREATE VIEW raw AS SELECT _driftune_id, _driftune_row, _driftune_file, "
        f"hash({values}) AS _driftune_fingerprint, {values} "
        f"FROM ({' UNION ALL BY NAME '.join(parts)})"
    )
    return rows


def delivered_types(con: Connection) -> dict[str, str]:
    """The delivered columns of ``raw`` and their types."""
    rows = con.execute("DESCRIBE raw").fetchall()
    return {name: kind for name, kind, *_ in rows if name not in _OWN}


def damaged_file(con: Connection, fetched: Fetched) -> SourceError | None:
    """The error that names the first file that cannot be read to its end; None when all can."""
    for file in fetched.files:
        values = ", ".join(map(identifier, file.columns))
        try:
            con.execute(f"SELECT bit_xor(hash({values})) FROM {file.scan()}").fetchone()
        except duckdb.Error as fault:
            return _breaks_off(file, fault)
    return None


def _rows_of(con: Connection, fetched: Fetched, number: int) -> tuple[str, int]:
    """A relation over the file's rows with ``_driftune_row``, and their number."""
    file = fetched.files[number]
    try:
        if file.format == "parquet" and _ROW_NUMBER not in file.columns:
            # Of Parquet the footer says how many rows there are.
            count = one_row(con, f"SELECT count(*) FROM {file.scan()}")[0]
            numbered = file.scan(row_numbers=True)
            return f"(SELECT *, {_ROW_NUMBER} + 1 AS _driftune_row FROM {numbered})", count
        con.execute(
            f"CREATE TABLE delivered_{number} AS "
            f"SELECT row_number() OVER () AS _driftune_row, * FROM {file.scan()}"
        )
    except duckdb.Error as error:
        if is_out_of_room(error):
            raise
        fetched.check_unchanged()
        raise _breaks_off(file, error) from None
    table = f"delivered_{number}"
    return table, one_row(con, f"SELECT count(*) FROM {table}")[0]


def _breaks_off(file: SourceFile, error: Exception) -> SourceError:
    return SourceError(
        f"{file.uri}: breaks off or is damaged ({first_line(error)}); deliver it again"
    )


def _common_types(con: Connection, fetched: Fetched) -> dict[str, str]:
    """For every delivered column the type that holds what every file has in it."""
    kinds = dict.fromkeys((file.columns, file.types) for file in fetched.files)
    empty = [
        ", ".join(
            f"NULL::{kind} AS {identifier(name)}" for name, kind in zip(columns, types, strict=True)
        )
        for columns, types in kinds
    ]
    union = " UNION ALL BY NAME ".join(f"SELECT {columns}" for columns in empty)
    return {name: kind for name, kind, *_ in con.execute(f"DESCRIBE {union}").fetchall()}
