"""What the logs' columns mean to the recommender."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from driftune.config.base import Section

# What DuckDB's strptime takes of a time. Names of zones are left out: they say no offset.
_DIRECTIVES = "YymbBdjHIpMSfgnaAz%"
_DATES = ({"m", "d"}, {"b", "d"}, {"B", "d"}, {"j"})
_DIRECTIVE = re.compile(r"%-?(.?)", re.DOTALL)


class SqlRole(Section):
    """A role or feature computed by a DuckDB expression."""

    sql: str = Field(min_length=1)
    """A DuckDB expression over the columns of the source, and of side tables (`users.age`)."""


ColumnRole = str | SqlRole


def _named(role: ColumnRole) -> ColumnRole:
    if isinstance(role, str) and not role.strip():
        raise ValueError("is empty; name a column of the files, or leave the role out")
    return role


Named = Annotated[ColumnRole, AfterValidator(_named)]


class TimeRole(Section):
    """The impression's time: a column or an expression, and how to read it.

    A time without an offset is one of the zone ``timezone``.
    """

    column: str | None = None
    """Name of the column."""
    sql: str | None = Field(None, min_length=1)
    """A DuckDB expression over the columns of the source, in place of a column."""
    unit: Literal["timestamp", "s", "ms", "us", "ns"] = "timestamp"
    """A timestamp, or the unit of a number since 1970."""
    format: str | None = None
    """How a text that is no ISO 8601 is written, such as `%d.%m.%Y %H:%M`; `%z` is an offset."""

    @field_validator("format")
    @classmethod
    def _names_a_day(cls, given: str | None) -> str | None:
        if given is None:
            return None
        found = set(_DIRECTIVE.findall(given))
        for name in sorted(found - set(_DIRECTIVES)):
            allowed = " ".join(f"%{letter}" for letter in _DIRECTIVES)
            raise ValueError(f"%{name} is no part of a time; there are {allowed}")
        if not found & {"Y", "y"} or not any(date <= found for date in _DATES):
            raise ValueError("must name the day: a year (%Y, %y), a month (%m, %b, %B) and %d")
        if "I" in found and "p" not in found:
            raise ValueError("%I needs %p, or write %H for hours of 0 to 23")
        return given

    @model_validator(mode="after")
    def _is_one_way(self) -> Self:
        if self.column is None and self.sql is None:
            raise ValueError("names no time; give column: NAME, or sql: a DuckDB expression")
        if self.column is not None and self.sql is not None:
            raise ValueError(f"has column {self.column!r} and sql {self.sql!r}; leave one out")
        if self.format is not None and self.unit != "timestamp":
            raise ValueError(f"has unit {self.unit!r} and format {self.format!r}; leave one out")
        return self

    @property
    def role(self) -> ColumnRole:
        """The column or expression that gives it."""
        return self.name if self.sql is None else SqlRole(sql=self.sql)

    @property
    def name(self) -> str:
        """The column's name; that of the role where an expression gives it."""
        return self.column or "time"


class Columns(Section):
    """Column roles: what the logs' columns mean to the recommender.

    ``request`` names the list that an impression was shown in, unique over all days.
    """

    user: Named
    """Id of the user."""
    item: Named
    """Id of the item that was shown."""
    time: TimeRole
    """When it was shown."""
    domain: Named | list[str]
    """The domain: a column, several, or an expression."""
    click: Named
    """1 for a click, else 0; left out with `negatives`, every row is a click."""
    convert: Named | None = None
    """1 for a conversion, else 0; needs a click. Without it conversions are not spoken of."""
    category: Named | None = None
    """Category of the item. Without it items form groups that pre-training learns."""
    price: Named | None = None
    """Price of the item."""
    request: Named | None = None
    """The list that the item was shown in; unique over all days."""
    position: Named | None = None
    """Position in that list."""
    propensity: Named | None = None
    """Probability with which the item was shown there."""

    @field_validator("domain")
    @classmethod
    def _has_columns(cls, domain: ColumnRole | list[str]) -> ColumnRole | list[str]:
        if isinstance(domain, list):
            if not domain or not all(name.strip() for name in domain):
                raise ValueError("names no column; give one, several, or {sql: an expression}")
            if twice := next((name for name in domain if domain.count(name) > 1), None):
                raise ValueError(f"has {twice!r} twice; remove one")
        return domain

    def expressions(self) -> dict[str, str]:
        """The SQL expressions among the roles, by role."""
        roles = {name: getattr(self, name) for name in type(self).model_fields}
        roles["time"] = self.time.role
        return {name: role.sql for name, role in roles.items() if isinstance(role, SqlRole)}

    def named(self, names: dict[str, str]) -> Self:
        """The same with columns of these names in place of some roles, by role."""
        given: dict[str, str | TimeRole] = dict(names)
        if "time" in names:
            given["time"] = self.time.model_copy(update={"column": names["time"], "sql": None})
        return self.model_copy(update=given)
