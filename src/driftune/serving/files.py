"""Files of rows: read, scored and written in batches, so that any size needs the same memory."""

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from driftune.errors import RowsError
from driftune.io import replacing
from driftune.serving.scorer import Scorer

BATCH = 1 << 16
_ENDINGS = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".jsonl": "jsonl"}
_ENDINGS |= {".ndjson": "jsonl"}


class Scored(NamedTuple):
    """How many rows were scored, how many could not be, and where those are."""

    scored: int
    left: int
    left_in: Path | None


class Writer(Protocol):
    """Where tables of one schema go."""

    def write(self, table: pa.Table) -> None:
        """Append a table."""

    def close(self) -> None:
        """End the file."""


def score_file(
    scorer: Scorer,
    source: Path,
    target: Path,
    domain: str | None = None,
    told: Callable[[int], None] = lambda rows: None,
) -> Scored:
    """Score the rows of a file; the output has their columns, and those of ``Scorer.score``.

    Formats go by the endings: Parquet, CSV, JSON lines. Rows that cannot be scored go to a file
    beside ``target``, with the reason in ``why``. ``domain``: score the rows of this one (its name)
    alone; ``told``: called with the rows that are done. The output appears whole or not at all.

    Raises:
        RowsError: in one line, for a file that cannot be read, or rows of the wrong columns.
    """
    left_in = target.with_name(f"{target.stem}.not-scored{target.suffix}")
    kind, done, left = format_of(target), 0, 0
    with ExitStack() as stack:
        part = stack.enter_context(replacing(target))
        kept: Writer | None = None
        beside: Writer | None = None
        with ExitStack() as writers:
            for table in read_batches(source):
                found = _together(table, scorer.score(table))
                if domain is not None:
                    found = found.filter(pc.equal(found["domain"], domain))
                lacks = pc.is_null(found["p_click"])
                whole, broken = found.filter(pc.invert(lacks)), found.filter(lacks)
                if kept is None:
                    kept = _open(kind, part, whole.schema)
                    writers.callback(kept.close)
                kept.write(whole)
                if broken.num_rows and beside is None:
                    beside = _open(kind, stack.enter_context(replacing(left_in)), broken.schema)
                    writers.callback(beside.close)
                if beside is not None:
                    beside.write(broken)
                done, left = done + whole.num_rows, left + broken.num_rows
                told(table.num_rows)
        if kept is None:
            raise RowsError(f"{source}: holds no rows")
    return Scored(done, left, left_in if left else None)


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
        for batch in reader:
            yield pa.Table.from_batches([batch])


def _jsonl(source: Path) -> Iterator[pa.Table]:
    rows: list[dict[str, str | None]] = []
    names: dict[str, None] = {}
    with source.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                # A number keeps its writing: 1e3 is no 1000.0 to an id.
                row = json.loads(line, parse_int=_Written, parse_float=_Written)
            except ValueError as error:
                raise RowsError(f"{source}: line {number} is no JSON ({error})") from None
            if not isinstance(row, dict):
                raise RowsError(f"{source}: line {number} is no object")
            names |= dict.fromkeys(row)
            rows.append({name: _text(value) for name, value in row.items()})
            if len(rows) == BATCH:
                yield _as_table(rows, names)
                rows = []
    if rows:
        yield _as_table(rows, names)


class _Written(str):
    """A number as it is written."""


def _text(value: str | bool | list[str] | dict[str, str] | None) -> str | None:
    if value is None or isinstance(value, str):
        return value if value is None else str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value)


def _as_table(rows: list[dict[str, str | None]], names: dict[str, None]) -> pa.Table:
    columns = {name: [row.get(name) for row in rows] for name in names}
    return pa.table({name: pa.array(each, pa.string()) for name, each in columns.items()})


def _together(table: pa.Table, scores: pa.Table) -> pa.Table:
    """Rows with their scores; a column of the rows that is called like a score goes under."""
    for name in scores.column_names:
        if name in table.column_names:
            table = table.drop_columns([name])
    for name in scores.column_names:
        table = table.append_column(name, scores[name])
    return table


def _open(kind: str, path: Path, schema: pa.Schema) -> Writer:
    if kind == "parquet":
        import pyarrow.parquet as pq

        writer: Writer = pq.ParquetWriter(path, schema)
        return writer
    if kind == "csv":
        import pyarrow.csv as pc_csv

        csv_writer: Writer = pc_csv.CSVWriter(path, schema)
        return csv_writer
    return _JsonLines(path)


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
