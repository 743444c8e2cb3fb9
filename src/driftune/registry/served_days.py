"""Served days: the first days that confirmed who serves each domain, read along the index."""

from collections.abc import Collection, Mapping
from datetime import date
from typing import Any, NamedTuple

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
    for are left out.
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
    bounds = _bounds(backbone, before, count).cte("bounds")
    own, other = decisions.alias("own"), decisions.alias("other")
    place = sa.tuple_(own.c.revision, own.c.decided_at, own.c.id)
    newer = sa.exists().where(
        other.c.domain_key == own.c.domain_key,
        other.c.day == own.c.day,
        other.c.backbone == backbone,
        sa.tuple_(other.c.revision, other.c.decided_at, other.c.id) > place,
    )
    told = sa.or_(own.c.state.in_(_CONFIRM), own.c.rule.is_(None), own.c.rule.in_(list(rules)))
    query = (
        sa.select(bounds.c.domain_key, bounds.c.version, own.c.day, own.c.state, own.c.rule,
                  own.c.id, bounds.c.until)
        .join_from(bounds, own, own.c.domain_key == bounds.c.domain_key)
        .where(own.c.day > bounds.c.after, own.c.day <= sa.func.coalesce(bounds.c.until, "9"))
        .where(own.c.backbone == backbone, own.c.champion_version == bounds.c.version)
        .where(own.c.day < before.isoformat(), told, ~newer)
        .order_by(own.c.domain_key, own.c.day)
    )  # fmt: skip
    rows = ledger.read(query)
    blind = _blind(ledger, [row.id for row in rows if row.state not in _CONFIRM])
    days: dict[str, list[ServedDay]] = {}
    for row in rows:
        rule, score = blind.get(row.id, (row.rule or None, None))
        days.setdefault(row.domain_key, []).append(
            ServedDay(row.domain_key, row.version, date.fromisoformat(row.day), row.state, rule,
                      score)
        )  # fmt: skip
    return FirstDays(days, {row.domain_key for row in rows if row.until is not None})


def _bounds(backbone: str, before: date, count: int) -> sa.Select[Any]:
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


def _blind(ledger: Database, ids: list[str]) -> dict[str, tuple[str | None, float | None]]:
    """Rule and score of decisions by id."""
    found: dict[str, tuple[str | None, float | None]] = {}
    for start in range(0, len(ids), AT_ONCE):
        query = sa.select(
            decisions.c.id, decisions.c.scores["rule"].as_string(), decisions.c.score
        ).where(decisions.c.id.in_(ids[start : start + AT_ONCE]))
        found |= {own: (rule, score) for own, rule, score in ledger.read(query)}
    return found
