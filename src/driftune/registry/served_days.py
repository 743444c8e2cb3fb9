"""Served days: the first days that confirmed who serves each domain, read along the index."""

from collections.abc import Collection, Iterator, Mapping
from datetime import date
from typing import NamedTuple

import sqlalchemy as sa

from driftune.registry.database import Database
from driftune.registry.ledger import BASE
from driftune.registry.past import ServedDay
from driftune.registry.records import State
from driftune.registry.schema import adapters, champions, decisions
from driftune.registry.walks import domain_keys

# Decisions whose documents are asked for at once.
AT_ONCE = 1000
_CONFIRM = (State.STABLE.value, State.NEW.value)


class FirstDays(NamedTuple):
    """Days under the champions that the ledger points to: ``days`` by domain key, oldest first.

    Each domain's first ones, up to the ``count``-th that was found stable or new: of ``cut``
    domains (keys) there may be more. Days that neither confirm nor follow one of the rules asked
    for are left out; of those that confirm, the state says stable and no more.
    """

    days: Mapping[str, list[ServedDay]]
    cut: Collection[str]


def first_days_served(
    ledger: Database, backbone: str, before: date, count: int, rules: Collection[str]
) -> FirstDays:
    """The first days before ``before`` that each present champion served under a backbone.

    Of each domain and day the newest decision, as ``past.days_served``; those without one of the
    ``rules`` that were not found stable or new are left out.
    """
    days: dict[str, list[ServedDay]] = {}
    limits = _bounds(backbone, before, count)
    # Asked for beside them it would be looked for once a row.
    cut = {row.domain_key for row in ledger.read(limits) if row.until is not None}
    # PostgreSQL would put it in the place of its name, and look for each bound once a row, too.
    bounds = limits.cte("bounds").prefix_with("MATERIALIZED", dialect="postgresql")
    own = decisions.alias("own")
    within = _within(bounds, own, backbone, before)
    confirming = (
        # One row a domain: a hundred thousand of them would take seconds.
        sa.select(
            bounds.c.domain_key,
            bounds.c.version,
            sa.func.aggregate_strings(own.c.day, ","),
        )
        .join_from(bounds, own, within)
        .where(own.c.state.in_(_CONFIRM))
        .group_by(bounds.c.domain_key, bounds.c.version)
    )
    for key, version, text in ledger.read(confirming):
        days[key] = [
            ServedDay(key, version, date.fromisoformat(day), State.STABLE.value, None, None)
            for day in text.split(",")
        ]
    ruled = sa.or_(own.c.rule.is_(None), own.c.rule.in_(list(rules)))
    others = sa.select(own.c.id, bounds.c.version).join_from(bounds, own, within)
    found = ledger.read(others.where(own.c.state.not_in(_CONFIRM), ruled))
    for day in _others(ledger, {row.id: row.version for row in found}):
        days.setdefault(day.domain_key, []).append(day)
    return FirstDays({key: sorted(own, key=_day) for key, own in days.items()}, cut)


def _day(served: ServedDay) -> date:
    return served.day


def _within(
    bounds: sa.CTE, own: sa.FromClause, backbone: str, before: date
) -> sa.ColumnElement[bool]:
    """Decisions that count of a domain and day, under the champion of now, within the bounds."""
    other = decisions.alias("other")
    newer = sa.exists(
        sa.select(other.c.id).where(
            other.c.domain_key == own.c.domain_key,
            other.c.day == own.c.day,
            other.c.backbone == backbone,
            sa.tuple_(other.c.revision, other.c.decided_at, other.c.id)
            > sa.tuple_(own.c.revision, own.c.decided_at, own.c.id),
        )
    )
    return sa.and_(
        own.c.domain_key == bounds.c.domain_key,
        own.c.day > bounds.c.after,
        own.c.day <= sa.func.coalesce(bounds.c.until, "9"),
        own.c.day < before.isoformat(),
        own.c.backbone == backbone,
        own.c.champion_version == bounds.c.version,
        ~newer,
    )


def _bounds(backbone: str, before: date, count: int) -> sa.Select[tuple[str, int, str, str | None]]:
    """Selects of each domain who serves it and the days (``after``, ``until``] that are read.

    What a version served on came after the day that it was made for. ``until``: null for all.
    """
    keys, own, brought = domain_keys(), decisions.alias(), decisions.alias("brought")
    version = sa.func.coalesce(champions.c.version, BASE)
    after = sa.func.coalesce(brought.c.day, "")
    until = (
        sa.select(own.c.day)
        .where(own.c.domain_key == keys.c.domain_key, own.c.day > after)
        .where(own.c.backbone == backbone, own.c.champion_version == version)
        .where(own.c.day < before.isoformat(), own.c.state.in_(_CONFIRM))
        .order_by(own.c.day)
        .limit(1)
        .offset(count - 1)
        .correlate(keys, champions, brought)
        .scalar_subquery()
    )
    made = sa.and_(
        adapters.c.domain_key == champions.c.domain_key, adapters.c.version == champions.c.version
    )
    return (
        sa.select(
            keys.c.domain_key, version.label("version"), after.label("after"),
            until.label("until"),
        )
        .select_from(keys)
        .outerjoin(champions, champions.c.domain_key == keys.c.domain_key)
        .outerjoin(adapters, made)
        .outerjoin(brought, brought.c.id == adapters.c.decision_id)
        .where(keys.c.domain_key.is_not(None))
    )  # fmt: skip


def _others(ledger: Database, versions: Mapping[str, int]) -> Iterator[ServedDay]:
    """Decisions by id with their rule and score; ``versions``: who served."""
    wanted = list(versions)
    for start in range(0, len(wanted), AT_ONCE):
        rule = decisions.c.scores["rule"].as_string()
        names = ("id", "domain_key", "day", "state", "score")
        query = sa.select(*(decisions.c[name] for name in names), rule)
        some = decisions.c.id.in_(wanted[start : start + AT_ONCE])
        for own, key, day, state, score, said in ledger.read(query.where(some)):
            yield ServedDay(key, versions[own], date.fromisoformat(day), state, said, score)
