"""Indexes of the ledger's large tables, and the conditions by which queries reach the partial ones.

A year of ten thousand domains is 3.7 million decisions of kilobytes each: what is asked every day
reads an index, and of the rows those alone that it needs.
"""

import logging

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, Index, inspect

from driftune.registry.records.states import QUIET, State
from driftune.registry.schema import checks, decisions

log = logging.getLogger("driftune")

# What may still come to an adaptation or a look.
OPEN = (State.REVIEW.value, State.PENDING.value, State.CLAIMED.value, State.WAITING.value)


def _literals(values: tuple[str, ...]) -> list[sa.ColumnElement[str]]:
    # SQLite takes a partial index only where a query repeats its condition word by word: bound
    # values would not do.
    return [sa.literal_column(f"'{value}'") for value in values]


def is_open(table: sa.FromClause = decisions) -> sa.ColumnElement[bool]:
    """Decisions that wait for approval, an adaptation or a look, or are being adapted."""
    return table.c.state.in_(_literals(OPEN))


def is_asked(table: sa.FromClause = decisions) -> sa.ColumnElement[bool]:
    """Decisions that asked for a fine-tune, whatever became of them; all that a gate judged."""
    return table.c.state.not_in(_literals(QUIET))


def _index(
    name: str, *columns: sa.Column[str], where: sa.ColumnElement[bool] | None = None
) -> Index:
    if where is None:
        return Index(name, *columns)
    return Index(name, *columns, sqlite_where=where, postgresql_where=where)


_d, _c = decisions.c, checks.c

# A partial index whose condition changes takes a new name: ledgers have the old one.
INDEXES = (
    # A domain's decisions in their order, with what its reference is found by.
    _index(
        "decisions_by_domain",
        *(_d.domain_key, _d.day, _d.revision, _d.decided_at, _d.id),
        *(_d.backbone, _d.champion_version, _d.state, _d.rule),
    ),
    # A day's decisions, and what tells whether any has changed.
    _index("decisions_by_day", _d.day, _d.state, _d.updated_at),
    _index("decisions_by_time", _d.decided_at),
    _index("decisions_open", _d.state, _d.day, where=is_open()),
    _index("decisions_asked", _d.domain_key, _d.day, _d.updated_at, _d.id, where=is_asked()),
    _index("decisions_asked_by_day", _d.day, _d.id, where=is_asked()),
    _index("checks_by_version", _c.domain_key, _c.version, _c.day),
    _index("checks_by_run", _c.as_of),
    _index("checks_restored", _c.day, where=_c.restored.is_not(None)),
)
# Of earlier releases; each is the beginning of one above.
FORMER = ("ix_decisions_domain_key", "ix_decisions_day")


def missing_indexes(bind: Engine | Connection) -> list[Index]:
    """The indexes that a ledger's tables, which are there, lack."""
    inspector = inspect(bind)
    held = {
        entry["name"]
        for table in (decisions, checks)
        for entry in inspector.get_indexes(table.name)
    }
    return [index for index in INDEXES if index.name not in held]


def add_indexes(connection: Connection) -> None:
    """Add the indexes that a ledger lacks, and take those off that they replace.

    In the caller's transaction: whoever dies in between leaves it as it was.
    """
    lacking = missing_indexes(connection)
    if not lacking:
        return
    filled = connection.scalar(sa.select(sa.exists(sa.select(decisions.c.id))))
    if filled:
        log.info("the ledger gets %d indexes; a large one takes minutes, once", len(lacking))
    for index in lacking:
        index.create(connection)
    for name in FORMER:
        connection.exec_driver_sql(f"DROP INDEX IF EXISTS {name}")
