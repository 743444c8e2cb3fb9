"""Columns that no role names: what the lake calls them, and what type it holds them in.

Their names have a prefix, so that a platform's column never meets one of the lake's own.
"""

import re
from collections.abc import Callable, Collection, Iterable
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


def kept_columns(
    con: Connection, config: Config, types: dict[str, str], earlier: Callable[[], Iterable[str]]
) -> list[Kept]:
    """The columns of ``raw`` (of ``types``) that the lake keeps though no role names them.

    A column is stored in the type of the first day that had a value in it: whole numbers as BIGINT,
    fractions as DOUBLE, what is nested as JSON text. ``earlier``: names of the days before, by
    which a column is found that is spelt otherwise now.
    """
    if not config.source.keep_columns:
        return []
    named = {name.lower() for name in roles.needed_columns(config)}
    wanted = [name for name in types if name.lower() not in named]
    if not wanted:
        return []
    figures = [f"count({identifier(name)}), {_is_fine(name, types[name])}" for name in wanted]
    (found,) = con.execute(f"SELECT {', '.join(figures)} FROM raw").fetchall()
    stored = {name.lower(): (name, kind) for name, kind in Lake.of(config).types(con).items()}
    kept = []
    for column, given, fine in zip(wanted, found[::2], found[1::2], strict=True):
        name = _known_name(column, stored, earlier)
        value, kind = _as_kept(column, types[column], fine=fine)
        name, wanted_kind = stored.get(name.lower(), (name, kind))
        if wanted_kind == kind and given:
            kept.append(Kept(column, name, value, kind))
        elif given:
            # Nanoseconds have no type in the lake, and are compared as they are.
            value, kind = (identifier(column), types[column]) if fine else (value, kind)
            kept.append(_moved(Kept(column, name, value, wanted_kind, True), kind))
    return kept


def _known_name(column: str, stored: Collection[str], earlier: Callable[[], Iterable[str]]) -> str:
    """What the lake calls a column: as its other spellings where it has one of those.

    ``stored``: the lake's names, in lower case.
    """
    name = lake_name(column)
    if _PLAIN.fullmatch(column) or name.lower() in stored:
        return name
    spelt = (lake_name(other) for other in earlier() if other.lower() == column.lower())
    return next((other for other in spelt if other.lower() in stored), name)


def _is_fine(column: str, kind: str) -> str:
    """SQL of whether a column has times between two microseconds: the lake has no type for them."""
    if not kind.endswith("_NS") or not is_timestamp(kind):
        return "false"
    return f"coalesce(bool_or(epoch_ns({identifier(column)}) % 1000 <> 0), false)"


def _as_kept(column: str, kind: str, *, fine: bool) -> tuple[str, str]:
    """The value of a delivered column as the lake would hold it first, and that type.

    ``fine``: some of its times lie between two microseconds; they are text then.
    """
    value = identifier(column)
    if is_timestamp(kind) and not fine:
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
    return replace(column, value=f"CASE WHEN NOT ({lost}) THEN {cast} END", lost=lost)
