"""Paths to lists: from a delivered column through structs to a list, and on into its elements."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from driftune.lake.duck import identifier, literal
from driftune.lake.types import FLOATS, as_text

if TYPE_CHECKING:
    from duckdb.sqltypes import DuckDBPyType

# What may stand around the elements of a text that is no JSON, and around each of them.
_BRACKETS = r"^\s*\[(.*)\]\s*$"
_QUOTES = literal("\"' ")
# The parameter of lambdas, which hides a column that is called so.
_E = "_driftune_e"
# Doubles below it hold every whole number.
_EXACT = 2**53


class NoListError(Exception):
    """Why a path leads to no list."""


@dataclass(frozen=True)
class ListPath:
    """A list of a delivered row.

    ``column`` holds it, below the fields ``within``; ``sql`` is the list. Of an element, ``field``
    (SQL over ``element``) gives the value, a text where ``is_text``. ``broken``: the condition on a
    row whose text is no list.
    """

    column: str
    within: tuple[str, ...]
    sql: str
    inside: tuple[str, ...]
    kind: "DuckDBPyType | None"
    broken: str = "false"

    def field(self, element: str) -> str:
        """SQL of the value that the path names, of an element."""
        if self.kind is None:
            path = "$" + "".join(f".{json.dumps(name, ensure_ascii=False)}" for name in self.inside)
            if not self.inside:
                return element
            return f"json_extract_string({element}, {literal(path)})"
        return _fields(element, self.inside, self.kind)[0]

    def text(self, element: str) -> str:
        """The value as text; what is nested as JSON, a float that is whole without a fraction."""
        if self.kind is None:
            return self.field(element)
        value, kind = _fields(element, self.inside, self.kind)
        if str(kind) in FLOATS:
            whole = f"{value} = trunc({value}) AND abs({value}) < {_EXACT}"
            return f"CASE WHEN {whole} THEN {value}::BIGINT::VARCHAR ELSE {value}::VARCHAR END"
        return as_text(value, str(kind))


def find_list(
    path: str, types: Mapping[str, "DuckDBPyType"], separator: str | None, *, alone: bool = False
) -> ListPath:
    """The list that a path names among columns of these types.

    ``alone``: a value that is no list is a list of one.

    Raises:
        NoListError: saying what is wrong with the path.
    """
    column, rest = _column(path, types)
    sql, kind, within = identifier(column), types[column], list[str]()
    while rest and kind.id == "struct":
        sql, kind = _fields(sql, rest[:1], kind)
        within.append(rest[0])
        rest = rest[1:]
    if kind.id in ("list", "array"):
        inner = _child(kind)
        _fields("element", rest, inner)
        plain = f"{sql}::{inner}[]" if kind.id == "array" else sql
        return ListPath(column, tuple(within), plain, tuple(rest), inner)
    if str(kind) in ("VARCHAR", "JSON") and (alone or not rest or separator is None):
        return _of_text(column, within, sql, rest, separator, alone=alone)
    if alone and not rest:
        return ListPath(column, tuple(within), f"[{sql}]", (), kind)
    raise NoListError(f"is {kind}, and no list or text")


def _column(path: str, types: Mapping[str, "DuckDBPyType"]) -> tuple[str, list[str]]:
    """The column that a path begins with, and the rest of it; a name may hold dots."""
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        if (name := ".".join(parts[:length])) in types:
            return name, parts[length:]
    raise NoListError(f"is missing; the day has {', '.join(types)}")


def _fields(sql: str, names: Sequence[str], kind: "DuckDBPyType") -> tuple[str, "DuckDBPyType"]:
    """SQL and type of a field within structs.

    Raises:
        NoListError: for one that is not there.
    """
    for name in names:
        inner = fields_of(kind)
        if name not in inner:
            has = f"has {', '.join(inner)}" if inner else f"is {kind}"
            raise NoListError(f"has no field '{name}' there (it {has})")
        sql, kind = f"struct_extract({sql}, {literal(name)})", inner[name]
    return sql, kind


def fields_of(kind: "DuckDBPyType") -> dict[str, "DuckDBPyType"]:
    """The fields of a struct; none of another type."""
    # Of other types the children are bounds or names.
    children = cast("list[tuple[str, DuckDBPyType]]", kind.children if kind.id == "struct" else [])
    return dict(children)


def _child(kind: "DuckDBPyType") -> "DuckDBPyType":
    """The type of a list's elements."""
    children = cast("list[tuple[str, DuckDBPyType]]", kind.children)
    return children[0][1]


def _of_text(
    column: str,
    within: Sequence[str],
    sql: str,
    inside: Sequence[str],
    separator: str | None,
    *,
    alone: bool,
) -> ListPath:
    """A list that is written as text: a JSON array, or elements with a separator."""
    text = f"trim({sql}::VARCHAR)"
    # Elements that are objects keep their JSON; others are what they say.
    element = f"{_E}::VARCHAR" if inside else f"{_E}->>'$'"
    objects = f"list_transform(from_json({text}, '[\"JSON\"]'), lambda {_E}: {element})"
    bare = f"regexp_extract({text}, {literal(_BRACKETS)}, 1, 's')"
    written = _written(bare)
    other = f"[{text}]" if alone else "NULL"
    is_array = f"starts_with({text}, '[') AND ends_with({text}, ']')"
    if separator is not None:
        other, written = (
            f"list_transform({_split(each, separator)}, lambda {_E}: trim({_E}))"
            for each in (text, bare)
        )
        # Elements may have brackets of their own.
        is_array += f" AND (json_valid({text}) OR NOT regexp_matches({bare}, '[\\[\\]]'))"
    if inside:
        written = "NULL"
    # An array of JSON is what it says, one of another notation is its elements.
    array = f"CASE WHEN json_valid({text}) THEN {objects} WHEN {bare} <> '' THEN {written} END"
    found = f"CASE WHEN {text} = '' THEN NULL WHEN {is_array} THEN {array} ELSE {other} END"
    broken = "false" if alone or separator else f"{text} <> '' AND NOT ({is_array})"
    return ListPath(column, tuple(within), found, tuple(inside), None, broken)


def _written(bare: str) -> str:
    """The elements of a list as Python or numpy writes it: quoted ones, and others between commas,
    or blanks where there is no comma."""
    quoted = "'[^']*'|\"[^\"]*\""
    commas, blanks = (literal(f"{quoted}|{other}") for other in ("[^,]+", r"[^\s]+"))
    found = (
        f"CASE WHEN contains({bare}, ',') THEN regexp_extract_all({bare}, {commas}) "
        f"ELSE regexp_extract_all({bare}, {blanks}) END"
    )
    filled = f"list_filter({found}, lambda {_E}: trim({_E}) <> '')"
    value = f"trim({_E}, {_QUOTES})"
    none = f"trim({_E}) IN ('None', 'nan', 'NaN', 'null')"
    return f"list_transform({filled}, lambda {_E}: CASE WHEN NOT {none} THEN {value} END)"


def _split(text: str, separator: str) -> str:
    if separator == " ":
        return f"regexp_split_to_array(trim({text}), '\\s+')"
    return f"string_split({text}, {literal(separator)})"
