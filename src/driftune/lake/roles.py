"""Column roles as DuckDB expressions over the source columns: the one place that knows them."""

from driftune.config import ColumnRole, Config
from driftune.config.columns import Columns, SqlRole
from driftune.lake.duck import identifier

DOMAIN_JOIN = " · "
OTHER_DOMAIN = "other"
OPTIONAL_NUMBERS = ("price", "position", "propensity")
OPTIONAL = (*OPTIONAL_NUMBERS, "request")


def expression(role: ColumnRole) -> str:
    """Return the SQL expression of a role."""
    return f"({role.sql})" if isinstance(role, SqlRole) else identifier(role)


def expressions(config: Config) -> dict[str, str]:
    """The SQL expressions among the roles, by role name."""
    roles = {name: getattr(config.columns, name) for name in Columns.model_fields}
    roles["time"] = config.columns.time.role
    return {name: role.sql for name, role in roles.items() if isinstance(role, SqlRole)}


def needed_columns(config: Config) -> dict[str, str]:
    """Source columns that the roles name directly, with the params.yaml key that names them."""
    columns = config.columns
    time = columns.time.column
    needed = {} if time is None else {time: "columns.time.column"}
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
