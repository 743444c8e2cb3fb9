"""Columns that no role names: what the lake calls them, and what type it holds them in.

Their names have a prefix, so that a platform's column never meets one of the lake's own.
"""

import re
from dataclasses import dataclass, replace

from driftune.config import Config
from driftune.domains import domain_key
from driftune.lake import roles
from driftune.lake.duck import Connection, identifier
from driftune.lake.table import Lake
from driftune.lake.types import has_offset, is_nested, is_timestamp

PREFIX = "d_"
# Parquet and Delta readers take no spaces and few other signs in a column's name.
_PLAIN = re.compile(r"\w{1,60}")
_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
_TYPES = dict.fromkeys(_WHOLE, "BIGINT") | {
    "UBIGINT": "DECIMAL(20,0)",
    "FLOAT": "DOUBLE",
    **{kind: kind for kind in ("DOUBLE", "BOOLEAN", "DATE", "BLOB", "VARCHAR")},
}


@dataclass(frozen=True)
class Kept:
    """A delivered column in the lake: its ``name`` there, ``value`` (SQL over ``raw``) and type.

    ``moved``: it was delivered in another type than the lake holds; ``lost`` is the condition on
    rows of ``raw`` whose value does not fit that.
    """

    source: str
    name: str
    value: str
    kind: str
    moved: bool = False
    lost: str = "false"


def lake_name(column: str) -> str:
    """What the lake calls a delivered column that no role names.

    One of letters, digits and underscores keeps its name behind the prefix; of another a readable
    part stays, with a hash that keeps different names apart.
    """
    return PREFIX + (column if _PLAIN.fullmatch(column) else domain_key(column))


def kept_columns(con: Connection, config: Config, types: dict[str, str]) -> list[Kept]:
    """The columns of ``raw`` (of ``types``) that the lake keeps though no role names them.

    A column is stored in the type of the first day that had a value in it: whole numbers as BIGINT,
    fractions as DOUBLE, what is nested as JSON text.
    """
    if not config.source.keep_columns:
        return []
    named = {name.lower() for name in roles.needed_columns(config)}
    wanted = [name for name in types if name.lower() not in named]
    if not wanted:
        return []
    (counts,) = con.execute(
        f"SELECT {', '.join(f'count({identifier(name)})' for name in wanted)} FROM raw"
    ).fetchall()
    stored = {name.lower(): (name, kind) for name, kind in Lake.of(config).types(con).items()}
    found = []
    for column, given in zip(wanted, counts, strict=True):
        name = lake_name(column)
        value, kind = _as_kept(column, types[column])
        name, wanted_kind = stored.get(name.lower(), (name, kind))
        if wanted_kind == kind and given:
            found.append(Kept(column, name, value, kind))
        elif given:
            found.append(_moved(Kept(column, name, value, wanted_kind, True), kind))
    return found


def _as_kept(column: str, kind: str) -> tuple[str, str]:
    """The value of a delivered column as the lake would hold it first, and that type."""
    value = identifier(column)
    if is_timestamp(kind):
        stored = "TIMESTAMP WITH TIME ZONE" if has_offset(kind) else "TIMESTAMP"
    else:
        stored = kind if kind.startswith("DECIMAL(") else _TYPES.get(kind, "VARCHAR")
    if is_nested(kind):
        return f"to_json({value})::VARCHAR", stored
    return (value if stored == kind else f"{value}::{stored}"), stored


def _moved(column: Kept, kind: str) -> Kept:
    """A column delivered as ``kind`` in the type that the lake holds it in."""
    cast = f"TRY_CAST({column.value} AS {column.kind})"
    lost = f"TRY_CAST({cast} AS {kind}) IS DISTINCT FROM {column.value}"
    if kind == "VARCHAR" and column.kind == "DOUBLE":
        # 0.50 is the number that the lake writes 0.5; 007 is a code, and long numbers lose digits.
        digits = f"length(regexp_replace({column.value}, '[^0-9]', '', 'g'))"
        code = f"regexp_matches({column.value}, '^[+-]?0[0-9]')"
        lost = f"trim({column.value}) <> '' AND ({cast} IS NULL OR {digits} > 17 OR {code})"
    elif kind == "VARCHAR" and (is_timestamp(column.kind) or column.kind in ("BOOLEAN", "DATE")):
        lost = f"trim({column.value}) <> '' AND {cast} IS NULL"
    return replace(column, value=cast, lost=lost)
