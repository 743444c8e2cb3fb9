"""Counts of the ledger for metrics: decisions by state, switches by action."""

from datetime import date

import sqlalchemy as sa

from driftune.registry.database import Database
from driftune.registry.schema import decisions, switches


def decisions_by_state(database: Database, day: date | None = None) -> dict[str, float]:
    """How many decisions are in each state; of one day, or of all."""
    state = decisions.c.state
    query = sa.select(state, sa.func.count()).group_by(state).order_by(state)
    if day is not None:
        query = query.where(decisions.c.day == day.isoformat())
    return {str(name): count for name, count in database.read(query)}


def switches_by_action(database: Database) -> dict[str, float]:
    """How many switches of champions each action made."""
    action = switches.c.action
    query = sa.select(action, sa.func.count()).group_by(action).order_by(action)
    return {str(name): count for name, count in database.read(query)}
