"""What the logs' columns mean to the recommender."""

from typing import Literal

from pydantic import Field

from driftune.config.base import Section


class SqlRole(Section):
    """A role computed by a DuckDB expression over the source columns."""

    sql: str = Field(min_length=1)


ColumnRole = str | SqlRole


class TimeRole(Section):
    """The impression's time: a column and how to read it."""

    column: str
    unit: Literal["timestamp", "s", "ms", "us"] = "timestamp"


class Columns(Section):
    """Column roles: what the logs' columns mean to the recommender.

    ``request`` names the list that an impression was shown in, unique over all days.
    """

    user: ColumnRole
    item: ColumnRole
    time: TimeRole
    domain: ColumnRole | list[str]
    click: ColumnRole
    convert: ColumnRole
    category: ColumnRole
    price: ColumnRole | None = None
    request: ColumnRole | None = None
    position: ColumnRole | None = None
    propensity: ColumnRole | None = None
