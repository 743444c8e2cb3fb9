"""What decisions ended as before another one of the same day took their place."""

from typing import NamedTuple

import sqlalchemy as sa

from driftune.registry.database import Database
from driftune.registry.records import State
from driftune.registry.schema import decisions, redecided


class Ended(NamedTuple):
    """How a decision stood when it was made again; None: an earlier release did not keep it."""

    state: str | None
    note: str | None


SAME = decisions.c.id == redecided.c.decision_id
"""Joins decisions (outer) with what is kept of those that were made again."""


def ended_as(table: sa.FromClause = decisions) -> sa.ColumnElement[str]:
    """The state of a decision, of one that was made again the one before; see ``SAME``."""
    again = sa.and_(table.c.state == State.SUPERSEDED.value, redecided.c.decision_id.is_not(None))
    before = sa.func.coalesce(redecided.c.state, State.STABLE.value)
    return sa.case((again, before), else_=table.c.state).label("ended_as")


def ended(database: Database) -> dict[str, Ended]:
    """How the decisions stood that were made again, by id."""
    rows = database.read(sa.select(redecided.c.decision_id, redecided.c.state, redecided.c.note))
    return {row.decision_id: Ended(row.state, row.note) for row in rows}
