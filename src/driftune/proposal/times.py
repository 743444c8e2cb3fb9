"""How a column writes times: as timestamps, as numbers since 1970, or as text of some format."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from driftune.lake.duck import Connection, identifier, literal
from driftune.proposal.columns import Column

SCALES = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
FIRST_YEAR, LAST_YEAR = 2000, 2039
# Their first and last instant, in seconds since 1970.
FIRST, LAST = 946_684_800, 2_208_988_800
_HOUR = "%Y%m%d%H"
# The share of values that must read so.
_MOST = 0.9
_FORMATS = (
    *("%Y%m%d%H%M%S", "%Y%m%d%H%M", _HOUR, "%y%m%d%H", "%d.%m.%Y %H:%M:%S"),
    *("%d.%m.%Y %H:%M", "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%m/%d/%Y %I:%M:%S %p"),
    *("%m/%d/%Y %H:%M", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%d/%b/%Y:%H:%M:%S %z"),
)


@dataclass(frozen=True)
class TimeWriting:
    """A unit or a format of ``columns.time``, and the share of values that read so."""

    unit: str | None
    format: str | None
    share: float


def times_of(
    con: Connection, columns: Iterable[Column], known: Mapping[str, TimeWriting | None]
) -> dict[str, TimeWriting | None]:
    """How columns of ``sample`` write times, by name; what is ``known`` is not looked at again."""
    return {
        each.name: known[each.name] if each.name in known else time_writing(con, each)
        for each in columns
    }


def time_value(column: Column, writing: TimeWriting | None) -> dict[str, str]:
    """What ``columns.time`` gives for a column that writes times so."""
    value = {"column": column.name}
    if isinstance(column.role, dict):
        value = dict(column.role)
    if writing is not None and writing.unit:
        value["unit"] = writing.unit
    if writing is not None and writing.format:
        value["format"] = writing.format
    return value


def time_writing(con: Connection, column: Column) -> TimeWriting | None:
    """How the values of a column of ``sample`` write times; None where they do not."""
    if column.is_time:
        return TimeWriting(None, None, 1.0)
    if column.filled == 0 or column.is_nested or column.is_binary:
        return None
    if column.is_number:
        number = f"TRY_CAST(trim({identifier(column.name)}::VARCHAR) AS DOUBLE)"
        counts = ", ".join(
            f"count(*) FILTER ({number} BETWEEN {FIRST * scale} AND {LAST * scale})"
            for scale in SCALES.values()
        )
        text = f"trim({identifier(column.name)}::VARCHAR)"
        hour = f"year(try_strptime({text}, '{_HOUR}')) BETWEEN {FIRST_YEAR} AND {LAST_YEAR}"
        ((hours, *inside),) = con.execute(
            f"SELECT count(*) FILTER ({hour}), {counts} FROM sample"
        ).fetchall()
        if hours >= _MOST * column.filled:
            # As seconds they would be times after 2033.
            return TimeWriting(None, _HOUR, hours / column.filled)
        for unit, count in zip(SCALES, inside, strict=True):
            if count >= _MOST * column.filled:
                return TimeWriting(unit, None, count / column.filled)
    value = f"trim({identifier(column.name)}::VARCHAR)"
    tried: dict[str | None, str] = {None: f"TRY_CAST({value} AS TIMESTAMP)"}
    if column.is_number:
        tried = {}
    tried |= {form: f"try_strptime({value}, {literal(form)})" for form in _FORMATS}
    counts = ", ".join(
        f"count(*) FILTER (year({sql}) BETWEEN {FIRST_YEAR} AND {LAST_YEAR})"
        for sql in tried.values()
    )
    (found,) = con.execute(f"SELECT {counts} FROM sample").fetchall()
    best = max(range(len(found)), key=lambda place: (found[place], -place))
    share = found[best] / column.filled
    return TimeWriting(None, list(tried)[best], share) if share > _MOST else None
