"""Delivered times as DuckDB expressions, by the type of their values and how they are to be read.

Some say which instant they are: numbers since 1970, and times with an offset. The others are read
off a wall clock of the configured zone (``driftune.lake.clock``).
"""

from typing import Literal

from driftune.config.columns import TimeRole
from driftune.lake.duck import literal
from driftune.lake.types import FLOATS, WHOLE, has_offset, is_number, is_timestamp

# How many of a day's texts have an offset.
Offsets = Literal["none", "some", "all"]
_FACTORS = {"s": 1_000_000, "ms": 1_000, "us": 1}
# After the minutes or seconds of an ISO 8601 text: a sign, a Z, or the name of a zone.
_OFFSET = r":[0-9.]+\s*[^0-9.:\s]"


def is_text(role: TimeRole, kind: str) -> bool:
    """Whether times are texts that may have an offset or not, each as it likes."""
    dated = is_timestamp(kind) or kind == "DATE"
    return role.format is None and role.unit == "timestamp" and not dated and not is_number(kind)


def offset_of(value: str) -> str:
    """SQL condition on a text of ISO 8601 to have an offset or a zone."""
    return f"regexp_matches({value}::VARCHAR, {literal(_OFFSET)})"


def wall_clock(
    role: TimeRole, value: str, kind: str, offsets: Offsets, offset: str | None = None
) -> str | None:
    """SQL of the local time (TIMESTAMP) of ``value``, of type ``kind``, where it has no offset.

    None where no time can be one; null where it cannot be read. ``offset``: a column that says
    whether a text has an offset, where there is one.
    """
    if role.unit != "timestamp":
        return None
    if role.format is not None:
        zoned = "%z" in role.format.replace("%%", "")
        return None if zoned else f"try_strptime({value}::VARCHAR, {literal(role.format)})"
    if is_number(kind) or has_offset(kind):
        return None
    if is_timestamp(kind):
        return _whole_microseconds(value, kind) or f"{value}::TIMESTAMP"
    if kind == "DATE":
        return f"{value}::TIMESTAMP"
    if offsets == "all":
        return None
    wall = f"TRY_CAST({value}::VARCHAR AS TIMESTAMP)"
    with_offset = offset or offset_of(value)
    return wall if offsets == "none" else f"CASE WHEN NOT {with_offset} THEN {wall} END"


def instant(
    role: TimeRole, value: str, kind: str, offsets: Offsets, offset: str | None = None
) -> str | None:
    """SQL of the instant (TIMESTAMP in UTC) of ``value``, where it says one by itself.

    None where no time does; null where it cannot be read. ``offset`` as in ``wall_clock``.
    """
    if role.unit != "timestamp":
        return None if is_timestamp(kind) or kind == "DATE" else _since_1970(role.unit, value, kind)
    if role.format is not None:
        zoned = "%z" in role.format.replace("%%", "")
        parsed = f"try_strptime({value}::VARCHAR, {literal(role.format)})"
        return _of_zoned(parsed) if zoned else None
    if has_offset(kind):
        return _whole_microseconds(value, kind) or _of_zoned(f"{value}::TIMESTAMPTZ")
    if not is_text(role, kind) or offsets == "none":
        return None
    given = _of_zoned(f"TRY_CAST({value}::VARCHAR AS TIMESTAMPTZ)")
    with_offset = offset or offset_of(value)
    return given if offsets == "all" else f"CASE WHEN {with_offset} THEN {given} END"


def _since_1970(unit: str, value: str, kind: str) -> str:
    """The instant of a number; fractions below a microsecond are dropped, of floats rounded."""
    whole = f"TRY_CAST({value} AS BIGINT)"
    if unit == "ns":
        return f"TRY(make_timestamp({whole} // 1000))"
    factor = _FACTORS[unit]
    exact = f"floor(TRY_CAST({value} AS DECIMAL(28, 9)) * {factor})::BIGINT"
    if kind in WHOLE:
        micros = f"{whole} * {factor}"
    elif kind in FLOATS:
        micros = f"TRY_CAST({value} * {factor} AS BIGINT)"
    elif kind.startswith("DECIMAL("):
        micros = exact
    else:
        # Texts with a fraction are few; reading all as fractions would cost five times as much.
        broken = f"contains({value}::VARCHAR, '.')"
        micros = f"CASE WHEN {broken} THEN {exact} ELSE {whole} * {factor} END"
    return f"TRY(make_timestamp({micros}))"


def _of_zoned(value: str) -> str:
    """A TIMESTAMPTZ as TIMESTAMP in UTC; infinite ones are null."""
    return f"make_timestamp(epoch_us({value}))"


def _whole_microseconds(value: str, kind: str) -> str | None:
    """A time of nanoseconds without those below a microsecond: a cast would round them, and make
    the day's last ones those of the next; None of another type."""
    return f"TRY(make_timestamp(epoch_ns({value}) // 1000))" if kind.endswith("_NS") else None
