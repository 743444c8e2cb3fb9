"""What the columns of a log look like, on a sample of its rows."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from driftune.errors import SourceError
from driftune.lake.duck import (
    Connection,
    connect,
    first_line,
    identifier,
    literal,
    one_row,
    plain_name,
)
from driftune.lake.finding import format_of
from driftune.lake.lists.paths import fields_of
from driftune.lake.types import is_nested, is_timestamp

SAMPLE_ROWS = 200_000
# Bytes of a file that is read whole for its sample, and rows that are taken from it at a time.
_READ_WHOLE, _BLOCK = 200_000_000, 1_000
# Values that are shown of a column, and counted of one that may be a domain.
EXAMPLES, VALUES = 5, 1_000
_NUMBER = r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?"


@dataclass(frozen=True)
class Column:
    """A column on the sampled rows.

    ``distinct`` values among ``filled`` rows, the share of them that are ``numbers`` and
    ``whole`` numbers, their bounds, the share of the most frequent one, and some ``examples``;
    ``is_field``: it is the path to a field of a struct.
    """

    name: str
    kind: str
    rows: int
    filled: int
    distinct: int
    numbers: float
    whole: float
    low: float | None
    high: float | None
    largest: float
    examples: tuple[str, ...]
    is_field: bool

    @property
    def role(self) -> str | dict[str, str]:
        """What params.yaml gives for a role that it has: its name, or the path to a field."""
        if not self.is_field:
            return self.name
        return {"sql": ".".join(identifier(part) for part in self.name.split("."))}

    @property
    def is_nested(self) -> bool:
        """Whether its values consist of others."""
        return is_nested(self.kind)

    @property
    def is_time(self) -> bool:
        """Whether it holds timestamps or dates."""
        return is_timestamp(self.kind) or self.kind == "DATE"

    @property
    def is_number(self) -> bool:
        """Whether all its values read as numbers."""
        return self.filled > 0 and self.numbers == 1 and not self.is_time

    @property
    def is_binary(self) -> bool:
        """Whether its values are 0 and 1, or truths."""
        words = {word.lower() for word in self.examples}
        plain = {word.removesuffix(".0") for word in words}
        return 0 < self.distinct <= 2 and plain <= {"0", "1", "true", "false"}


@contextmanager
def sampled(files: Sequence[Path]) -> Iterator[Connection]:
    """A connection with rows of the files as the table ``sample``.

    Raises:
        SourceError: for a file that cannot be read.
    """
    with connect(reach=files) as con:
        share = max(1, SAMPLE_ROWS // len(files))
        try:
            selected = " UNION ALL BY NAME ".join(_rows_of(con, path, share) for path in files)
            con.execute(f"CREATE TABLE sample AS {selected}")
        except duckdb.Error as error:
            names = ", ".join(path.name for path in files)
            raise SourceError(f"{names}: cannot be read together ({first_line(error)})") from None
        yield con


def _rows_of(con: Connection, path: Path, share: int) -> str:
    """SQL of some rows of a file: blocks of it, so that rows of one request stay together; of a
    large file its first ones."""
    scan = scan_of(path)
    if path.stat().st_size > _READ_WHOLE:
        return f"(SELECT * FROM {scan} LIMIT {share})"
    (rows,) = one_row(con, f"SELECT count(*) FROM {scan}")
    if rows <= share:
        return f"(SELECT * FROM {scan})"
    numbered = f"SELECT *, row_number() OVER () - 1 AS _driftune_n FROM {scan}"
    every = -(-rows // share)
    return (
        f"(SELECT * EXCLUDE (_driftune_n) FROM ({numbered}) "
        f"WHERE _driftune_n // {_BLOCK} % {every} = 0 LIMIT {share})"
    )


def columns_of(con: Connection, fields: Collection[str] = ()) -> list[Column]:
    """What each column of ``sample`` looks like, and each field of a struct in place of that.

    ``fields``: columns that were fields of a struct before.
    """
    fields = {*fields, *_flatten(con)}
    described = con.execute("DESCRIBE sample").fetchall()
    ((rows,),) = con.execute("SELECT count(*) FROM sample").fetchall()
    return [_column(con, name, kind, rows, name in fields) for name, kind, *_ in described]


def _flatten(con: Connection) -> Iterator[str]:
    """Put the fields of structs in the place of these; yields their paths, which name them."""
    while True:
        found = con.sql("FROM sample LIMIT 0")
        structs = [
            (name, kind)
            for name, kind in zip(found.columns, found.types, strict=True)
            if kind.id == "struct"
        ]
        if not structs:
            return
        for name, kind in structs:
            column = identifier(name)
            yield from (f"{name}.{field}" for field in fields_of(kind))
            fields = ", ".join(
                f"struct_extract({column}, {literal(field)}) AS {identifier(f'{name}.{field}')}"
                for field in fields_of(kind)
            )
            others = f"* EXCLUDE ({column})"
            con.execute(f"CREATE OR REPLACE TABLE sample AS SELECT {others}, {fields} FROM sample")


def _column(con: Connection, name: str, kind: str, rows: int, is_field: bool) -> Column:
    value = f"{identifier(name)}::VARCHAR"
    if is_nested(kind):
        value = f"to_json({identifier(name)})::VARCHAR"
    number = f"TRY_CAST(v AS DOUBLE) IS NOT NULL AND regexp_full_match(v, '{_NUMBER}')"
    if kind == "VARCHAR":
        value = f"nullif(trim({value}), '')"
    ((filled, distinct, numbers, whole, low, high),) = con.execute(
        f"""
        SELECT count(v), count(DISTINCT v), count(*) FILTER ({number}),
               count(*) FILTER (regexp_full_match(v, '[+-]?[0-9]+([.]0*)?')),
               min(TRY_CAST(v AS DOUBLE)), max(TRY_CAST(v AS DOUBLE))
        FROM (SELECT {value} AS v FROM sample)
        """
    ).fetchall()
    top = con.execute(
        f"SELECT v, count(*) FROM (SELECT {value} AS v FROM sample) WHERE v IS NOT NULL "
        f"GROUP BY v ORDER BY count(*) DESC, v LIMIT {EXAMPLES}"
    ).fetchall()
    share = max(filled, 1)
    return Column(
        *(name, kind, rows, filled, distinct, numbers / share, whole / share, low, high),
        largest=top[0][1] / share if top else 0.0,
        examples=tuple(str(text)[:60] for text, _ in top),
        is_field=is_field,
    )


def scan_of(path: Path, *, strict: bool = False) -> str:
    """A file as DuckDB reads it, texts as texts; unless ``strict``, lines that are no rows are
    passed over."""
    name, kind = literal(plain_name(path)), format_of("auto", path.name, str(path))
    if kind == "parquet":
        return f"read_parquet({name}, hive_partitioning=false)"
    if kind == "csv":
        lenient = "false" if strict else "true"
        options = f"all_varchar=true, ignore_errors={lenient}, hive_partitioning=false"
        return f"read_csv({name}, {options})"
    return f"read_json({name}, format='newline_delimited', hive_partitioning=false)"
