"""How a column writes times: as timestamps, as numbers since 1970, or as text of some format."""

from dataclasses import dataclass

from driftune.lake.duck import Connection, identifier, literal
from driftune.proposal.columns import Column

SCALES = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
# 2000 and 2040, in seconds since 1970.
_FIRST, _LAST = 946_684_800, 2_208_988_800
_FORMATS = (
    *("%Y%m%d%H%M%S", "%Y%m%d%H%M", "%Y%m%d%H", "%y%m%d%H", "%d.%m.%Y %H:%M:%S"),
    *("%d.%m.%Y %H:%M", "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%m/%d/%Y %I:%M:%S %p"),
    *("%m/%d/%Y %H:%M", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%d/%b/%Y:%H:%M:%S %z"),
)


@dataclass(frozen=True)
class TimeWriting:
    """A unit or a format of ``columns.time``, and the share of values that read so."""

    unit: str | None
    format: str | None
    share: float


def time_writing(con: Connection, column: Column) -> TimeWriting | None:
    """How the values of a column of ``sample`` write times; None where they do not."""
    if column.is_time:
        return TimeWriting(None, None, 1.0)
    if column.filled == 0 or column.is_nested or column.is_binary:
        return None
    if column.is_number and column.low is not None and column.high is not None:
        for unit, scale in SCALES.items():
            if _FIRST * scale <= column.low and column.high <= _LAST * scale:
                return TimeWriting(unit, None, 1.0)
    value = f"trim({identifier(column.name)}::VARCHAR)"
    tried: dict[str | None, str] = {None: f"TRY_CAST({value} AS TIMESTAMP)"}
    if column.is_number:
        tried = {}
    tried |= {form: f"try_strptime({value}, {literal(form)})" for form in _FORMATS}
    counts = ", ".join(
        f"count(*) FILTER (year({sql}) BETWEEN 2000 AND 2039)" for sql in tried.values()
    )
    (found,) = con.execute(f"SELECT {counts} FROM sample").fetchall()
    best = max(range(len(found)), key=lambda place: (found[place], -place))
    share = found[best] / column.filled
    return TimeWriting(None, list(tried)[best], share) if share > 0.9 else None
