"""What the logs' columns mean to the recommender."""

from typing import Literal

from pydantic import Field

from driftune.config.base import Section


class SqlRole(Section):
    """A role computed by a DuckDB expression over the source columns."""

    sql: str = Field(min_length=1)
    """A DuckDB expression over the columns of the source."""


ColumnRole = str | SqlRole


class TimeRole(Section):
    """The impression's time: a column and how to read it."""

    column: str
    """Name of the column."""
    unit: Literal["timestamp", "s", "ms", "us"] = "timestamp"
    """A timestamp, or the unit of a number since 1970."""


class Columns(Section):
    """Column roles: what the logs' columns mean to the recommender.

    ``request`` names the list that an impression was shown in, unique over all days.
    """

    user: ColumnRole
    """Id of the user."""
    item: ColumnRole
    """Id of the item that was shown."""
    time: TimeRole
    """When it was shown."""
    domain: ColumnRole | list[str]
    """The domain: a column, several, or an expression."""
    click: ColumnRole
    """1 for a click, else 0."""
    convert: ColumnRole
    """1 for a conversion, else 0; needs a click."""
    category: ColumnRole
    """Category of the item."""
    price: ColumnRole | None = None
    """Price of the item."""
    request: ColumnRole | None = None
    """The list that the item was shown in; unique over all days."""
    position: ColumnRole | None = None
    """Position in that list."""
    propensity: ColumnRole | None = None
    """Probability with which the item was shown there."""
