"""Parquet: read where it lies, as often as it is needed; its columns keep their types."""

import duckdb

from driftune.lake.duck import Connection, is_out_of_room, one_row, parquet
from driftune.lake.readers.part import (
    Part,
    broken_off,
    check_names,
    may_be_renamed,
    not_of_format,
)
from driftune.lake.source import SourceFile

_ROW_NUMBER = "file_row_number"


def read_parquet(con: Connection, file: SourceFile, table: str) -> Part:
    """Read a Parquet file; no part of its path becomes a column.

    Raises:
        SourceError: for a file that is no Parquet, breaks off, or has two columns of one name.
    """
    scan = parquet(file.path)
    try:
        described = con.execute(f"DESCRIBE SELECT * FROM {scan}").fetchall()
    except duckdb.Error as error:
        raise not_of_format(file, error) from None
    columns = {name: kind for name, kind, *_ in described}
    renamed = may_be_renamed(list(columns))
    check_names(file, _delivered_names(file) if renamed else list(columns))
    try:
        # The footer says how many rows there are.
        rows = int(one_row(con, f"SELECT count(*) FROM {scan}")[0])
        if _ROW_NUMBER not in {name.lower() for name in columns}:
            numbered = parquet(file.path, options="file_row_number=true")
            relation = f"(SELECT *, {_ROW_NUMBER} + 1 AS _driftune_row FROM {numbered})"
            return Part(file, relation, columns, rows)
        con.execute(
            f"CREATE TABLE {table} AS SELECT row_number() OVER () AS _driftune_row, * FROM {scan}"
        )
    except duckdb.Error as error:
        if is_out_of_room(error):
            raise
        raise broken_off(file, error) from None
    return Part(file, table, columns, rows)


def _delivered_names(file: SourceFile) -> list[str]:
    import pyarrow.parquet as pq

    names: list[str] = pq.read_schema(file.path).names
    return names
