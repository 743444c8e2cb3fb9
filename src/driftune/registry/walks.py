"""Walks along the index of decisions: each domain's key, newest decision and first days.

They read a few entries of the index per domain, however many days there are.
"""

import sqlalchemy as sa

from driftune.registry.newest import OLDEST_FIRST
from driftune.registry.schema import decisions


def domain_keys(name: str = "domains") -> sa.CTE:
    """The key (``domain_key``) of every domain that has a decision, one after another."""
    first = sa.select(sa.func.min(decisions.c.domain_key).label("domain_key"))
    walk = first.cte(name, recursive=True)
    own = decisions.alias()
    after = (
        sa.select(sa.func.min(own.c.domain_key))
        .where(own.c.domain_key > walk.c.domain_key)
        .scalar_subquery()
    )
    return walk.union_all(sa.select(after).where(walk.c.domain_key.is_not(None)))


def newest_first(table: sa.FromClause) -> list[sa.UnaryExpression[str]]:
    """``NEWEST_FIRST`` of decisions under another name."""
    return [table.c[column.name].desc() for column in OLDEST_FIRST]


def newest_of(key: sa.ColumnElement[str]) -> sa.ScalarSelect[str]:
    """The id of the newest decision of the domain that a column names."""
    own = decisions.alias()
    return (
        sa.select(own.c.id)
        .where(own.c.domain_key == key)
        .order_by(*newest_first(own))
        .limit(1)
        .scalar_subquery()
    )
