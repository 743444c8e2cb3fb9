"""DuckDB's types by what their values have in common."""

import re

WHOLE = tuple(
    f"{sign}{kind}"
    for kind in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
    for sign in ("", "U")
)
FLOATS = ("FLOAT", "DOUBLE")
# The type of a column that holds nothing.
EMPTY = '"NULL"'
_NESTED = ("STRUCT(", "MAP(", "UNION(", "JSON", "VARIANT")
_FAMILIES = dict.fromkeys(WHOLE, "whole") | dict.fromkeys(FLOATS, "DOUBLE")
_WHOLE_DECIMAL = re.compile(r"DECIMAL\(\d+,0\)")


def family(kind: str) -> str:
    """What types of one kind have in common: all whole numbers read the same."""
    if kind.startswith("ENUM("):
        return "VARCHAR"
    if _WHOLE_DECIMAL.fullmatch(kind):
        return "whole"
    return "TIMESTAMP" if kind.startswith("TIMESTAMP_") else _FAMILIES.get(kind, kind)


def is_number(kind: str) -> bool:
    """Whether values of a type are numbers."""
    return family(kind) in ("whole", "DOUBLE") or kind.startswith("DECIMAL(")


def has_offset(kind: str) -> bool:
    """Whether a type holds instants rather than wall-clock times."""
    return kind.startswith(("TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE"))


def is_timestamp(kind: str) -> bool:
    """Whether a type holds instants or wall-clock times, of whatever resolution."""
    return kind.startswith("TIMESTAMP")


def is_nested(kind: str) -> bool:
    """Whether values of a type consist of others."""
    return kind.endswith("]") or kind.startswith(_NESTED)


def as_text(sql: str, kind: str) -> str:
    """A value of a type as text; what is nested as JSON."""
    return f"to_json({sql})::VARCHAR" if is_nested(kind) else f"{sql}::VARCHAR"
