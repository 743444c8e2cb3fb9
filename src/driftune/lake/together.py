"""Columns of a day's files put together: one spelling, one type that changes no value."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from driftune.config import Config
from driftune.errors import SourceError
from driftune.lake import roles
from driftune.lake.duck import Connection, identifier, literal, one_row
from driftune.lake.readers.part import Part
from driftune.lake.types import (
    EMPTY,
    as_text,
    family,
    is_timestamp,
)

# The largest whole number below which a double holds every one.
_EXACT = 2**53
_WIDTHS = re.compile(r"\b(TINYINT|SMALLINT|INTEGER|UTINYINT|USMALLINT|UINTEGER)\b")


@dataclass(frozen=True)
class Mixed:
    """A column that files deliver in types that have nothing in common: it is text."""

    column: str
    kinds: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Together:
    """``types`` of the day's columns, for each file SQL of its ``columns``, and those ``mixed``."""

    types: dict[str, str]
    columns: tuple[dict[str, str], ...]
    mixed: tuple[Mixed, ...]


@dataclass(frozen=True)
class Uses:
    """What is made of columns: the params.yaml key that ``named`` each, those that are ``ids``,
    the lower-case names of those that are ``used`` as text, and that of the ``time``."""

    named: Mapping[str, str]
    ids: Collection[str]
    used: Collection[str]
    time: str | None = None

    @classmethod
    def of_logs(cls, config: Config) -> "Uses":
        """What the roles make of the logs' columns."""
        named = roles.delivered_columns(config)
        used = {name.lower() for name in named} | roles.mentioned(config)
        return cls(named, roles.id_columns(config), used, config.columns.time.column)


def put_together(con: Connection, uses: Uses, parts: Sequence[Part]) -> Together:
    """Find for each column the type in which every file's values are what they were.

    Raises:
        SourceError: for a column that is spelt in two ways, or a time of two kinds.
    """
    _check_spelling(uses.named, parts)
    given = [_with_paths(part) for part in parts]
    ids, used = uses.ids, uses.used
    names = list(dict.fromkeys(name for columns in given for name in columns))
    types: dict[str, str] = {}
    chosen: list[dict[str, str]] = [{} for _ in parts]
    mixed = []
    for name in names:
        here = [number for number, columns in enumerate(given) if name in columns]
        values = [given[number][name] for number in here]
        if name.lower() in used:
            values = [_decoded(sql, kind) for sql, kind in values]
        if name in ids:
            values = [_id(con, parts[n], *value) for n, value in zip(here, values, strict=True)]
        kinds = [kind for _, kind in values]
        filled = [n for n, number in enumerate(here) if parts[number].rows]
        target = _common(
            con,
            [parts[here[n]] for n in filled],
            [values[n] for n in filled],
            is_id=name in ids,
        )
        if target is None and not any(parts[number].is_text for number in here):
            first = {
                kind: parts[n].file.uri for n, kind in zip(here[::-1], kinds[::-1], strict=True)
            }
            clash = Mixed(name, tuple((uri, kind) for kind, uri in reversed(first.items())))
            _check_time(uses.time, clash)
            mixed.append(clash)
        types[name] = target or "VARCHAR"
        for number, (sql, kind) in zip(here, values, strict=True):
            chosen[number][name] = _cast(sql, kind, types[name])
    return Together(types, tuple(chosen), tuple(mixed))


def _with_paths(part: Part) -> dict[str, tuple[str, str]]:
    """SQL and type of a file's columns, and of those that its path gives where it lacks them."""
    own = {name: (identifier(name), kind) for name, kind in part.columns.items()}
    lower = {name.lower() for name in own}
    return own | {
        name: ("NULL::VARCHAR" if value is None else literal(value), "VARCHAR")
        for name, value in part.file.partitions.items()
        if name.lower() not in lower
    }


def _decoded(sql: str, kind: str) -> tuple[str, str]:
    """Bytes that a role uses as text: UTF-8 is read as such, other bytes keep their escapes."""
    return (
        (f"coalesce(TRY(decode({sql})), {sql}::VARCHAR)", "VARCHAR")
        if kind == "BLOB"
        else (sql, kind)
    )


def _id(con: Connection, part: Part, sql: str, kind: str) -> tuple[str, str]:
    """An id that a float holds: its digits where all are whole, as in a column with gaps.

    What is not finite is no id.
    """
    if family(kind) != "DOUBLE":
        return sql, kind
    finite = f"CASE WHEN isfinite({sql}) THEN {sql} END"
    if _any(con, part, f"isfinite({sql}) AND {_not_whole(sql)}"):
        return finite, kind
    return f"({finite})::BIGINT", "BIGINT"


def _not_whole(sql: str) -> str:
    """SQL condition on a finite float to be no whole number, or one that it may not hold."""
    return f"({sql} <> trunc({sql}) OR abs({sql}) >= {_EXACT})"


def _common(
    con: Connection, parts: Sequence[Part], values: Sequence[tuple[str, str]], *, is_id: bool
) -> str | None:
    """The type that holds what all files deliver; None where there is none but text."""
    kinds = list(dict.fromkeys(kind for _, kind in values if kind != EMPTY))
    families = {family(kind) for kind in kinds}
    if len(kinds) <= 1:
        return kinds[0] if kinds else "VARCHAR"
    if families == {"whole", "DOUBLE"}:
        return _number(con, parts, values)
    if is_id and families == {"DOUBLE"}:
        return None
    times = all(is_timestamp(kind) or kind == "DATE" for kind in kinds) and not is_id
    # Lists and structs of whole numbers differ in their widths alone.
    alike = len(families) == 1 or len({_WIDTHS.sub("BIGINT", kind) for kind in kinds}) == 1
    return _union(con, kinds) if alike or times else None


def _union(con: Connection, kinds: Sequence[str]) -> str:
    """The type that DuckDB finds for values of several."""
    selects = " UNION ALL ".join(f"SELECT NULL::{kind} AS x" for kind in kinds)
    ((_, kind, *_),) = con.execute(f"DESCRIBE {selects}").fetchall()
    return str(kind)


def _number(
    con: Connection, parts: Sequence[Part], values: Sequence[tuple[str, str]]
) -> str | None:
    """The type for whole numbers in some files and floats in others, by the values themselves.

    Whole floats, as a column with gaps often has, are whole numbers again; else doubles hold all,
    where every whole number is one that a double holds.
    """
    whole = exact = True
    for part, (sql, kind) in zip(parts, values, strict=True):
        if family(kind) == "DOUBLE" and (whole or exact):
            whole &= not _any(con, part, f"NOT isfinite({sql}) OR {_not_whole(sql)}")
        elif family(kind) == "whole":
            exact &= not _any(con, part, f"abs({sql}::HUGEINT) > {_EXACT}")
    if whole:
        return _union(con, [*(kind for _, kind in values if family(kind) == "whole"), "BIGINT"])
    return "DOUBLE" if exact else None


def _any(con: Connection, part: Part, condition: str) -> bool:
    found = one_row(con, f"SELECT coalesce(bool_or({condition}), false) FROM {part.relation}")
    return bool(found[0])


def _cast(sql: str, kind: str, target: str) -> str:
    if kind == target:
        return sql
    if target == "VARCHAR":
        return as_text(sql, kind)
    return f"{sql}::{target}"


def _check_spelling(keys: Mapping[str, str], parts: Sequence[Part]) -> None:
    """See that every column has one spelling, that of the roles where one names it."""
    named = {name.lower(): (name, key) for name, key in keys.items()}
    seen: dict[str, tuple[str, str]] = {}
    for part in parts:
        for name in part.columns:
            role, key = named.get(name.lower(), (name, ""))
            if role != name:
                raise SourceError(
                    f"{part.file.uri}: has the column '{name}', which {key} in params.yaml calls "
                    f"'{role}'; write it as the file does, or deliver it with that spelling"
                )
            other, uri = seen.setdefault(name.lower(), (name, part.file.uri))
            if other != name:
                raise SourceError(
                    f"{part.file.uri}: has the column '{name}', which {uri} calls '{other}'; "
                    "deliver it with one spelling"
                )


def _check_time(time: str | None, clash: Mixed) -> None:
    """See that all files have times of one kind."""
    if clash.column == time:
        each = " and ".join(f"{kind} in {uri}" for uri, kind in clash.kinds)
        raise SourceError(
            f"{clash.column} (columns.time in params.yaml) is {each}; deliver it in one type"
        )
