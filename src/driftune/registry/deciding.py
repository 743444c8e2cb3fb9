"""Deciding: the decisions of many domains of a day, written some hundreds at a time."""

import math
import time
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from driftune.registry.ledger import Ledger
from driftune.registry.records.decision import NewDecision, written
from driftune.registry.schema import decisions, switches

# Decisions that ask for an adaptation or an approval: older ones give way to each, and it is told.
ASKING = ("review", "pending")
# Rows of a transaction: SQLite's other writers wait for it.
AT_ONCE = 500


def decide_many(ledger: Ledger, made: Sequence[NewDecision]) -> None:
    """Write decisions about different domains of one day, each once, as ``Ledger.decide`` does.

    Those that ask for nothing are written first. A run that ends between leaves some unwritten;
    the next one writes them.

    Raises:
        LedgerBusyError: when another process does not let go of the ledger.
    """
    quiet = [values for values in made if _asks_nothing(values)]
    for start in range(0, len(quiet), AT_ONCE):
        _decide_quiet(ledger, quiet[start : start + AT_ONCE])
    for values in made:
        if not _asks_nothing(values):
            ledger.decide(**values)


def _asks_nothing(values: NewDecision) -> bool:
    """Whether nothing is adapted or told for a decision."""
    return values["state"] not in ASKING and values["scores"].alert is None


def _decide_quiet(ledger: Ledger, made: Sequence[NewDecision]) -> None:
    """Write decisions that ask for nothing, in one transaction."""
    with ledger.write() as connection:
        earliest = _moments(connection, made)
        now = time.time()
        rows = []
        for values in made:
            at = max(now, earliest.get(values["domain_key"], now))
            rows.append({"attempts": 0, "decided_at": at, "updated_at": at, **written(values)})
        held = sa.select(decisions.c.id).where(decisions.c.id.in_([row["id"] for row in rows]))
        errors = set(connection.scalars(held.where(decisions.c.state == "error")))
        there = set(connection.scalars(held))
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        if new := [row for row in rows if row["id"] not in there]:
            connection.execute(dialect.insert(decisions).on_conflict_do_nothing(), new)
        # They take the place of those that ended in an error.
        failed = decisions.c.state == "error"
        for row in rows:
            if row["id"] in errors:
                identity = decisions.c.id == row["id"]
                connection.execute(decisions.update().where(identity, failed).values(**row))


def _moments(connection: sa.Connection, made: Sequence[NewDecision]) -> dict[str, float]:
    """By domain key the first time after what happened to it before; see ``moments.moment``."""
    found: dict[str, float] = {}
    keys = [values["domain_key"] for values in made]
    for key, at, when in (
        (decisions.c.domain_key, decisions.c.decided_at, decisions.c.day == made[0]["day"]),
        (switches.c.domain_key, switches.c.at, sa.true()),
    ):
        last = sa.select(key, sa.func.max(at)).where(key.in_(keys), when).group_by(key)
        for own, before in connection.execute(last):
            if before is not None:
                found[own] = max(found.get(own, 0.0), math.nextafter(before, math.inf))
    return found
