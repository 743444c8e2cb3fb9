"""Formats of files of rows: Parquet, CSV and JSON lines, read and written some rows at a time."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, TypeAlias

import pyarrow as pa

from driftune.errors import RowsError

BATCH = 1 << 16
_ENDINGS = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".jsonl": "jsonl"}
_ENDINGS |= {".ndjson": "jsonl"}
_Value: TypeAlias = str | bool | list[str] | dict[str, str] | None


class Writer(Protocol):
    """Where tables of one schema go."""

    def write(self, table: pa.Table) -> None:
        """Append a table."""

    def close(self) -> None:
        """End the file."""


def count_rows(source: Path) -> int | None:
    """How many rows a file has, where it says so."""
    if format_of(source) != "parquet":
        return None
    import pyarrow.parquet as pq

    try:
        return int(pq.ParquetFile(source).metadata.num_rows)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(source, error) from None


def format_of(path: Path) -> str:
    """The format of a file by its ending.

    Raises:
        RowsError: for an ending that is none of them.
    """
    found = _ENDINGS.get(path.suffix.lower())
    if found is None:
        endings = ", ".join(sorted(_ENDINGS))
        raise RowsError(f"{path}: its format is not known by its ending; there are {endings}")
    return found


def read_batches(source: Path) -> Iterator[pa.Table]:
    """The rows of a file, some at a time.

    Text files say no types: their values are texts, as the lake's readers have them.

    Raises:
        RowsError: in one line, when it cannot be read.
    """
    read = {"parquet": _parquet, "csv": _csv, "jsonl": _jsonl}[format_of(source)]
    try:
        yield from read(source)
    except (pa.ArrowException, OSError, ValueError, csv.Error) as error:
        raise _unreadable(source, error) from None


def _parquet(source: Path) -> Iterator[pa.Table]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(source) as file:
        if file.metadata.num_rows == 0:
            yield file.schema_arrow.empty_table()
        for batch in file.iter_batches(BATCH):
            yield pa.Table.from_batches([batch])


def _csv(source: Path) -> Iterator[pa.Table]:
    import pyarrow.csv as pc_csv

    with source.open(encoding="utf-8-sig", newline="") as file:
        names = next(csv.reader(file), [])
    if not names:
        raise RowsError(f"{source}: holds no rows")
    options = pc_csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    parse = pc_csv.ParseOptions(newlines_in_values=True)
    with pc_csv.open_csv(source, convert_options=options, parse_options=parse) as reader:
        rows = 0
        for batch in reader:
            rows += batch.num_rows
            yield pa.Table.from_batches([batch])
        if rows == 0:
            yield reader.schema.empty_table()


def _jsonl(source: Path) -> Iterator[pa.Table]:
    # A key may come for the first time in the last row, and every batch has all columns.
    names: dict[str, None] = {}
    for row in _objects(source):
        if not row.keys() <= names.keys():
            names |= dict.fromkeys(row)
    rows: list[dict[str, str | None]] = []
    empty = True
    for row in _objects(source):
        rows.append({name: _text(value) for name, value in row.items()})
        if len(rows) == BATCH:
            yield _as_table(rows, names)
            rows, empty = [], False
    if rows or empty:
        yield _as_table(rows, names)


def _objects(source: Path) -> Iterator[dict[str, _Value]]:
    with source.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                # A number keeps its writing: 1e3 is no 1000.0 to an id.
                row = json.loads(line, parse_int=_Written, parse_float=_Written)
            except (ValueError, RecursionError) as error:
                raise RowsError(f"{source}: line {number} is no JSON ({error})") from None
            if not isinstance(row, dict):
                raise RowsError(f"{source}: line {number} is no object")
            yield row


class _Written(str):
    """A number as it is written."""


def _text(value: _Value) -> str | None:
    if value is None or isinstance(value, str):
        return value if value is None else str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value)


def _as_table(rows: list[dict[str, str | None]], names: dict[str, None]) -> pa.Table:
    columns = {name: [row.get(name) for row in rows] for name in names}
    return pa.table({name: pa.array(each, pa.string()) for name, each in columns.items()})


def open_writer(kind: str, path: Path, schema: pa.Schema) -> Writer:
    """Begin a file of a format.

    Raises:
        RowsError: naming a column whose type the format does not have.
    """
    if kind == "jsonl":
        return _JsonLines(path)
    for field in schema:
        _require_type(kind, field)
    if kind == "parquet":
        import pyarrow.parquet as pq

        writer: Writer = pq.ParquetWriter(path, schema)
        return writer
    import pyarrow.csv as pc_csv

    csv_writer: Writer = pc_csv.CSVWriter(path, schema)
    return csv_writer


def _require_type(kind: str, field: pa.Field) -> None:
    sink, schema = pa.BufferOutputStream(), pa.schema([field])
    try:
        if kind == "parquet":
            import pyarrow.parquet as pq

            pq.ParquetWriter(sink, schema).close()
        else:
            import pyarrow.csv as pc_csv

            pc_csv.CSVWriter(sink, schema).close()
    except pa.ArrowException:
        raise RowsError(
            f"column '{field.name}' is {field.type}, which {kind} files cannot hold; write "
            "another format (.jsonl), or leave the column out"
        ) from None


class _JsonLines:
    """JSON lines, a row each."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")

    def write(self, table: pa.Table) -> None:
        for row in table.to_pylist():
            self._file.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")

    def close(self) -> None:
        self._file.close()


def _unreadable(source: Path, error: Exception) -> RowsError:
    reason = " ".join(str(error).split())[:200]
    return RowsError(f"{source}: cannot be read ({reason})")
