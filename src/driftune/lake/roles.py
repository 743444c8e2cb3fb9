"""Column roles as DuckDB expressions over the source columns: the one place that knows them."""

import re
from datetime import UTC, date, datetime, time, timedelta

from driftune.config import ColumnRole, Config
from driftune.config.columns import Columns, SqlRole
from driftune.lake.duck import identifier, literal

DOMAIN_JOIN = " · "
OTHER_DOMAIN = "other"
OPTIONAL_NUMBERS = ("price", "position", "propensity")
_NAMES = re.compile(r'"((?:[^"]|"")+)"|([^\W\d]\w*)')
_UNNEST = re.compile(r"\bunnest\s*\(", re.IGNORECASE)
OPTIONAL = (*OPTIONAL_NUMBERS, "request")


def expression(role: ColumnRole) -> str:
    """Return the SQL expression of a role."""
    return f"({role.sql})" if isinstance(role, SqlRole) else identifier(role)


def expressions(config: Config) -> dict[str, str]:
    """The SQL expressions among the roles, by role name."""
    roles = ((name, getattr(config.columns, name)) for name in Columns.model_fields)
    return {name: role.sql for name, role in roles if isinstance(role, SqlRole)}


def needed_columns(config: Config) -> dict[str, str]:
    """Source columns that the roles name directly, with the params.yaml key that names them."""
    columns = config.columns
    needed = {columns.time.column: "columns.time.column"}
    for name in ("user", "item", "click", "convert", "category", "request", *OPTIONAL_NUMBERS):
        role = getattr(columns, name)
        if isinstance(role, str):
            needed[role] = f"columns.{name}"
    domain = columns.domain
    if isinstance(domain, str):
        needed[domain] = "columns.domain"
    elif isinstance(domain, list):
        needed.update(dict.fromkeys(domain, "columns.domain"))
    needed.update(dict.fromkeys(config.features.categorical, "features.categorical"))
    needed.update(dict.fromkeys(config.features.numerical, "features.numerical"))
    return needed


def id_columns(config: Config) -> frozenset[str]:
    """Delivered columns whose values name something: users, items, lists, domains, categories."""
    columns, domain = config.columns, config.columns.domain
    given = [columns.user, columns.item, columns.request, columns.category]
    given += domain if isinstance(domain, list) else [domain]
    return frozenset(
        [*(role for role in given if isinstance(role, str)), *config.features.categorical]
    )


def explodes(config: Config) -> bool:
    """Whether an expression makes several rows of one, one for each element of a list."""
    return bool(_UNNEST.search(" ".join(expressions(config).values())))


def mentioned(config: Config) -> frozenset[str]:
    """Names, in lower case, that the expressions of the roles may take for columns."""
    texts = " ".join(expressions(config).values())
    return frozenset(
        (quoted.replace('""', '"') or plain).lower() for quoted, plain in _NAMES.findall(texts)
    )


def domain_expression(config: Config) -> str:
    """The domain's name; null when a part of it is null or empty."""
    role = config.columns.domain
    if isinstance(role, list):
        parts = [f"nullif(trim({identifier(column)}::VARCHAR), '')" for column in role]
        return f" || '{DOMAIN_JOIN}' || ".join(parts)
    return f"nullif(trim({expression(role)}::VARCHAR), '')"


def is_timestamp(kind: str) -> bool:
    """Whether a DuckDB type holds instants or wall-clock times, of whatever resolution."""
    return kind.startswith("TIMESTAMP")


def has_offset(kind: str) -> bool:
    """Whether a DuckDB type holds instants rather than wall-clock times."""
    return kind.startswith(("TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE"))


def time_expression(config: Config, day: date, kind: str) -> str:
    """The impression's time as TIMESTAMP in UTC; null when it cannot be read.

    ``kind`` is the DuckDB type of its column. A time without an offset is read in the session's
    time zone, or for a timestamp column in the configured one, whatever the session.
    """
    column = identifier(config.columns.time.column)
    unit = config.columns.time.unit
    if unit != "timestamp":
        factor = {"s": 1_000_000, "ms": 1_000, "us": 1}[unit]
        return f"TRY(make_timestamp(TRY_CAST({column} AS BIGINT) * {factor}))"
    if not is_timestamp(kind):
        return f"TRY_CAST({column} AS TIMESTAMPTZ) AT TIME ZONE 'UTC'"
    if has_offset(kind):
        instant = f"{column}::TIMESTAMPTZ"
        return f"CASE WHEN isfinite({instant}) THEN make_timestamp(epoch_us({instant})) END"
    zoned = f"timezone('UTC', timezone({literal(config.timezone)}, {column}::TIMESTAMP))"
    offset = _offset(config, day)
    if offset is None:
        return zoned
    # The calendar's own conversion costs ten times a subtraction, which is the same on the day.
    local = f"{column} >= '{day}'::DATE AND {column} < '{day + timedelta(days=1)}'::DATE"
    shifted = f"{column}::TIMESTAMP - to_seconds({offset})" if offset else f"{column}::TIMESTAMP"
    return f"CASE WHEN {local} THEN {shifted} ELSE {zoned} END"


def _offset(config: Config, day: date) -> int | None:
    """Seconds that local time is ahead of UTC on the day; None when clocks change on it."""
    start = datetime.combine(day, time())
    hours = (start + timedelta(hours=n) for n in range(25))
    offsets = {config.zone.utcoffset(hour) for hour in hours}
    (only,) = offsets if len(offsets) == 1 else (None,)
    return None if only is None else int(only.total_seconds())


def day_start(config: Config, day: date) -> datetime:
    """First instant of the calendar day in the configured zone, as naive UTC."""
    local = datetime.combine(day, time(), tzinfo=config.zone)
    return local.astimezone(tz=UTC).replace(tzinfo=None)


def day_end(config: Config, day: date) -> datetime:
    """First instant after the day, as naive UTC (23 or 25 hours later when clocks change)."""
    return day_start(config, day + timedelta(days=1))
