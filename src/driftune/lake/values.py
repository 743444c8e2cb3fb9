"""Delivered values as DuckDB expressions that do no more work than the column's type needs.

A column that is a number already is not written out as text to be read again: that would cost
more than all rules together.
"""

from collections.abc import Mapping

from driftune.config import ColumnRole
from driftune.lake import roles
from driftune.lake.duck import literal
from driftune.lake.types import FLOATS, WHOLE, as_text

# A text that means 0 or 1.
_LABEL = r"\+?0*[01](\.0*)?|-0+(\.0*)?"


def identity(role: ColumnRole, types: dict[str, str]) -> str:
    """A name or number that identifies something, as text; null when it is empty."""
    kind = _kind(role, types)
    text = as_text(roles.expression(role), kind or "")
    return text if kind in WHOLE else f"nullif({text}, '')"


def label(role: ColumnRole, types: dict[str, str]) -> str:
    """A label as text: ``0`` or ``1`` where the value means that, else the value as delivered."""
    text = roles.expression(role)
    kind = _kind(role, types)
    if kind in WHOLE:
        return f"coalesce({text}::VARCHAR, 'null')"
    if kind == "BOOLEAN":
        return f"CASE {text} WHEN true THEN '1' WHEN false THEN '0' ELSE 'null' END"
    means = f"TRY_CAST({text} AS DOUBLE) IN (0, 1)"
    if kind == "VARCHAR":
        # A double would take 1e-400 for 0, and 0_1 for 1.
        means = f"regexp_full_match(trim({text}), {literal(_LABEL)})"
    return (
        f"CASE WHEN {means} "
        f"THEN (TRY_CAST({text} AS DOUBLE))::TINYINT::VARCHAR "
        f"WHEN lower(trim({text}::VARCHAR)) = 'true' THEN '1' "
        f"WHEN lower(trim({text}::VARCHAR)) = 'false' THEN '0' "
        f"ELSE coalesce({text}::VARCHAR, 'null') END"
    )


def label_value(role: ColumnRole, types: dict[str, str]) -> str:
    """A label as TINYINT 0 or 1; null where it is neither."""
    text, kind = roles.expression(role), _kind(role, types)
    if kind in WHOLE:
        return f"CASE WHEN {text} IN (0, 1) THEN {text}::TINYINT END"
    if kind == "BOOLEAN":
        return f"{text}::TINYINT"
    means = f"CASE {label(role, types)} WHEN '1' THEN 1::TINYINT WHEN '0' THEN 0::TINYINT END"
    if kind != "VARCHAR":
        return means
    # Nearly all are written so.
    return f"CASE {text} WHEN '0' THEN 0::TINYINT WHEN '1' THEN 1::TINYINT ELSE {means} END"


def number(text: str, kind: str | None) -> str:
    """A number, of a value of type ``kind``; null where the value is none, or not finite."""
    value = _double(text, kind)
    return f"CASE WHEN isfinite({value}) THEN {value} END"


def _double(text: str, kind: str | None) -> str:
    """A value as DOUBLE, null where it is none; 1_000 is none, though DuckDB takes it for one."""
    plain = f"CASE WHEN NOT contains({text}, '_') THEN {text} END" if kind == "VARCHAR" else text
    return f"TRY_CAST({plain} AS DOUBLE)"


def unreadable(
    numbers: dict[str, ColumnRole], types: dict[str, str], read: Mapping[str, str] | None = None
) -> str:
    """Names of the columns whose value is given and no finite number; null where there is none.

    ``read``: columns that hold the finite numbers of texts already, by the names of ``numbers``.
    """
    cases = []
    for name, role in numbers.items():
        text, kind = roles.expression(role), _kind(role, types)
        if kind in WHOLE:
            continue
        broken = f"NOT isfinite({text})"
        if kind not in FLOATS:
            none = f"NOT coalesce(isfinite({_double(text, kind)}), false)"
            if read is not None:
                none = f"{read[name]} IS NULL"
            broken = f"{text} IS NOT NULL AND {none} AND trim({text}::VARCHAR) <> ''"
        cases.append(f"CASE WHEN {broken} THEN {literal(name.removeprefix('x_'))} END")
    return f"nullif(concat_ws(', ', {', '.join(cases)}), '')" if cases else "NULL::VARCHAR"


def _kind(role: ColumnRole, types: dict[str, str]) -> str | None:
    """The type of a delivered column; None of an expression."""
    return types.get(role) if isinstance(role, str) else None
