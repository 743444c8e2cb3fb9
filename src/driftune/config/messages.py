"""What is wrong in params.yaml, in one line: its file, key, value, and what is allowed there."""

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import GenericAlias, UnionType
from typing import Annotated, Literal, TypeAlias, TypeGuard, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

# What a value may be, as an annotation says it.
Kind: TypeAlias = type | UnionType | GenericAlias | None

# Pydantic's kinds of error in plain words; what stands in {} is its figure.
_WORDS = {
    "greater_than": "must be above {gt:g}",
    "greater_than_equal": "must be {ge:g} or more",
    "less_than": "must be below {lt:g}",
    "less_than_equal": "must be {le:g} or less",
    "finite_number": "must be a finite number",
    "literal_error": "must be {expected}",
    "list_type": "must be a list, such as [a, b]",
    "tuple_type": "must be a list, such as [1, 2]",
    "dict_type": "must hold keys and values, such as {{a: 1}}",
    "string_too_long": "must have one sign, or none",
    "too_long": "must have {max_length} values",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "must be a number and MB or GB, such as 1.5GB",
    "string_type": "must be text",
    "invalid_key": "is no key: keys are text; remove it",
    "value_error": "{error}",
}
_BEGINNINGS = (
    ("int_", "must be a whole number"),
    ("float_", "must be a number"),
    ("bool_", "must be true or false"),
    ("date_", 'must be a date such as "2026-03-02"'),
)
_KINDS: dict[Kind, str] = {
    str: "text",
    int: "a whole number",
    bool: "true or false",
    float: "a number",
}
_CLICK = (
    ", or where every row is a click say how rows without one are drawn: "
    "negatives: {per_positive: 4, from: domain_day}"
)
# Problems that a message tells, and signs that it shows of a value.
TOLD, SHOWN = 5, 80
# Of a message about several keys: the one that it begins with.
_KEY = re.compile(r"[a-z_]+(\.([a-z_]+|\d+))*( =|:) ")


def wrong_values(
    error: ValidationError, model: type[BaseModel], file: Path, set_by: Mapping[str, str]
) -> str:
    """One line with every wrong key of ``file``, which ``model`` was to hold.

    ``set_by``: the environment's variables, by the dotted key that each has set.
    """
    found = [(problem, _place(model, problem["loc"])) for problem in error.errors()]
    # Of a value of several kinds, what is wrong inside it says more than that it is no other kind.
    looked_into = {base for _, place in found for base in place.through}
    lines = [
        _line(problem, place, model, file, set_by)
        for problem, place in found
        if place.union is None or tuple(place.key) not in looked_into
    ]
    told = [*dict.fromkeys(lines)]
    more = f"; and {len(told) - TOLD} more problems" if len(told) > TOLD else ""
    return "; ".join(told[:TOLD]) + more


def cut(text: str) -> str:
    """A value's text as messages show it: not all of a long one."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def no_yaml(error: yaml.YAMLError) -> str:
    """What is wrong with a text that is no YAML, and in which line."""
    problem, mark = getattr(error, "problem", None), getattr(error, "problem_mark", None)
    if isinstance(error, yaml.reader.ReaderError):
        return f"position {error.position + 1}: a sign that YAML does not allow; remove it"
    if problem is None or mark is None:
        return " ".join(str(error).split())
    if "another document" in problem:
        return f"line {mark.line + 1}: a second document begins; remove the line ---"
    return (
        f"line {mark.line + 1}, column {mark.column + 1}: {' '.join(problem.split())}; correct the "
        "line: blanks indent it, and text with signs such as { [ % : # stands in quotes"
    )


def near(word: str, names: Sequence[str]) -> str:
    """A question whether one of these names was meant, for the end of a message; or nothing."""
    folded = {name.lower(): name for name in names}
    found = get_close_matches(word.lower(), [*folded], n=1, cutoff=0.7)
    return f"; did you mean {folded[found[0]]}?" if found else ""


def _line(
    problem: ErrorDetails,
    place: "_Place",
    model: type[BaseModel],
    file: Path,
    set_by: Mapping[str, str],
) -> str:
    key, kind, value = ".".join(place.key), problem["type"], problem["input"]
    where = next((set_by[name] for name in _above(place.key) if name in set_by), str(file))
    if kind == "extra_forbidden":
        last = place.key[-1]
        names = [] if place.section is None else _keys(place.section)
        meant = _elsewhere(model, last) or near(last, names)
        return f"{where}: unknown key '{key}'{meant or '; remove it or correct its spelling'}"
    if kind == "missing":
        if problem["loc"] and isinstance(problem["loc"][-1], int):
            *above, last = place.key
            return f"{where}: {'.'.join(above)} has too few values; add value {int(last) + 1}"
        return f"{where}: key '{key}' is missing; add it" + _CLICK * (key == "columns.click")
    # An address for messages is a secret, wherever in its section it was written.
    hidden = isinstance(value, dict) or key.startswith("notify")
    written = cut("null" if value is None else repr(value))
    shown = "" if hidden else f" = {written}"
    said = _said(problem, place)
    if place.key[-1:] == ["[key]"]:
        return f"{where}: {'.'.join(place.key[:-2])}: the key {written} {said}"
    if not key and _KEY.match(said):
        return f"{where}: {said}"
    return f"{where}: {key or '(whole file)'}{shown}: {said}"


def _said(problem: ErrorDetails, place: "_Place") -> str:
    kind, context = problem["type"], problem.get("ctx", {})
    if place.union is not None:
        return f"must be {_either(_kinds(place.union))}"
    if kind in ("model_type", "model_attributes_type"):
        names = [] if place.there is None else _keys(place.there)
        return f"must hold keys, such as {{{names[0]}: …}}" if names else "must hold keys"
    if kind == "list_type" and place.items in (int, float):
        return "must be a list, such as [1, 2]"
    if kind == "too_short":
        return (
            "must not be empty"
            if context["min_length"] == 1
            else (f"must have {context['min_length']} values")
        )
    if kind == "literal_error":
        allowed = re.findall(r"'([^']*)'", context["expected"])
        return f"must be {context['expected']}{near(str(problem['input']), allowed)}"
    if kind in _WORDS:
        return _WORDS[kind].format(**context)
    return next((said for start, said in _BEGINNINGS if kind.startswith(start)), problem["msg"])


class _Place:
    """Where a problem is: its key, the section that holds it, and what is to be there.

    ``union``: the kinds of value of which it was to be one, where it is none; ``items``: what a
    list there holds; ``through``: the keys of such values that it lies in.
    """

    def __init__(self, key: list[str]) -> None:
        self.key = key
        self.section: type[BaseModel] | None = None
        self.there: type[BaseModel] | None = None
        self.union: list[Kind] | None = None
        self.items: Kind = None
        self.through: list[tuple[str, ...]] = []


def _place(model: type[BaseModel], loc: Sequence[str | int]) -> _Place:
    place = _Place([])
    there: Kind = model
    for number, part in enumerate(loc):
        members = _members(there)
        if len(members) > 1:
            # Pydantic names the member here, which is no key.
            inner = [each for each in members if str(part) == _tag(each)]
            if number + 1 == len(loc) or not inner:
                place.union = members
                return place
            there = inner[0]
            place.through.append(tuple(place.key))
            continue
        place.key.append(str(part))
        place.section = there if _is_section(there) else None
        there = _inner(there, part)
    members = _members(there)
    place.items = _inner(members[0], 0) if get_origin(members[0]) is list else None
    place.there = members[0] if len(members) == 1 and _is_section(members[0]) else None
    return place


def _inner(there: Kind, part: str | int) -> Kind:
    """The annotation of what a section, list or mapping has in one place."""
    if _is_section(there):
        for name, field in there.model_fields.items():
            if part in (name, field.alias):
                (member, *others) = _members(field.annotation)
                return field.annotation if others else member
        return None
    arguments = get_args(there)
    inner = arguments[-1] if get_origin(there) is dict else next(iter(arguments), None)
    (member, *others) = _members(inner)
    return inner if others else member


def _members(there: Kind) -> list[Kind]:
    """The kinds of a value, null apart."""
    while get_origin(there) is Annotated:
        there = get_args(there)[0]
    if get_origin(there) in (Union, UnionType):
        return [
            member
            for each in get_args(there)
            if each is not type(None)
            for member in _members(each)
        ]
    return [there]


def _tag(there: Kind) -> str:
    """What Pydantic calls a kind of value."""
    return there.__name__ if isinstance(there, type) and not get_args(there) else str(there)


def _is_section(there: Kind) -> TypeGuard[type[BaseModel]]:
    return isinstance(there, type) and issubclass(there, BaseModel)


def _keys(section: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in section.model_fields.items()]


def _elsewhere(model: type[BaseModel], name: str) -> str:
    """Where else a key of this name belongs."""
    found = [
        f"{section}.{name}"
        for section, field in model.model_fields.items()
        for there in _members(field.annotation)
        if _is_section(there) and name in _keys(there)
    ]
    return f"; it belongs into {' or '.join(found)}" if found else ""


def _above(key: Sequence[str]) -> Iterator[str]:
    for length in range(len(key), 0, -1):
        yield ".".join(key[:length])


def _kinds(union: Sequence[Kind]) -> list[str]:
    names: dict[Kind, str] = {list: "a list", dict: "keys and values", **_KINDS}
    sections = [_keys(each)[0] for each in union if _is_section(each)]
    if "sql" in sections:
        # A role.
        names[str] = "a column's name"
    others = [each for each in union if not _is_section(each)]
    found = []
    for each in others:
        words = [repr(choice) for choice in get_args(each)] if get_origin(each) is Literal else []
        found += words or [names.get(get_origin(each) or each, "a value")]
    return [*found, *(f"{{{key}: …}}" for key in sections)]


def _either(names: Sequence[str]) -> str:
    return " or ".join([*([", ".join(names[:-1])] if names[1:] else []), names[-1]])
