"""The past: what the drift policy asks of the days before the one that it judges."""

from collections.abc import Collection
from datetime import date
from typing import NamedTuple

import sqlalchemy as sa

from driftune.registry.ended import ended_as
from driftune.registry.indexes import is_asked, is_open
from driftune.registry.ledger import Ledger
from driftune.registry.newest import OLDEST_FIRST
from driftune.registry.records import Decision, State
from driftune.registry.schema import (
    RULE_LENGTH,
    adapters,
    champions,
    decisions,
    redecided,
    switches,
)
from driftune.registry.walks import domain_keys

# Keys of one query: databases take some ten thousand values.
AT_ONCE = 1000

# How decisions end for which a fine-tune was made, or declined by a person.
_TRIED = ("promoted", "rejected", "undecided", "waiting", "declined")


class ServedDay(NamedTuple):
    """A day's decision, and the champion version that served on it; no ``score``: no signal that
    decides could be judged.
    """

    domain_key: str
    champion_version: int
    day: date
    state: str
    rule: str | None
    score: float | None


class LastFinetune(NamedTuple):
    """A domain's ``first`` decision, and the last one that a fine-tune was made or declined for
    (``tried``); days.
    """

    domain_key: str
    first: date
    tried: date | None


def decisions_between(ledger: Ledger, first: date, before: date) -> list[Decision]:
    """The decisions of days in [``first``, ``before``), oldest first."""
    return ledger.decisions(
        decisions.c.day < before.isoformat(), decisions.c.day >= first.isoformat()
    )


def decisions_to_judge(ledger: Ledger, first: date, since: date, before: date) -> list[Decision]:
    """As ``decisions_between``; of days before ``since`` those alone that brought a champion, each
    where no newer one of its domain and day took its place.
    """
    other = decisions.alias("other")
    newer = sa.exists(
        sa.select(other.c.id).where(
            other.c.domain_key == decisions.c.domain_key,
            other.c.day == decisions.c.day,
            sa.tuple_(other.c.revision, other.c.decided_at, other.c.id)
            > sa.tuple_(decisions.c.revision, decisions.c.decided_at, decisions.c.id),
        )
    )
    brought = ledger.decisions(
        is_asked(),
        decisions.c.state == State.PROMOTED.value,
        decisions.c.day >= first.isoformat(),
        decisions.c.day < min(since, before).isoformat(),
        ~newer,
    )
    return brought + decisions_between(ledger, since, before)


def days_served(
    ledger: Ledger, backbone: str, before: date, among: Collection[str] | None = None
) -> list[ServedDay]:
    """The days before ``before`` under a backbone, oldest first; of each domain and day the
    newest decision. ``among``: of these domains (keys) alone.

    It reads all of them: see ``served_days`` for the first ones.
    """
    if among is not None and not among:
        return []
    query = (
        sa.select(
            decisions.c.domain_key,
            decisions.c.champion_version,
            decisions.c.day,
            decisions.c.state,
            decisions.c.scores["rule"].as_string().label("rule"),
            decisions.c.score,
        )
        .where(decisions.c.backbone == backbone, decisions.c.day < before.isoformat())
        .order_by(*OLDEST_FIRST)
    )
    rows = ledger.read(query if among is None else query.where(decisions.c.domain_key.in_(among)))
    last = {(row.domain_key, row.day): row for row in rows}
    return [
        ServedDay(key, version, date.fromisoformat(day), state, rule, score)
        for key, version, day, state, rule, score in last.values()
    ]


def switched_by_hand(ledger: Ledger, first: date, before: date) -> set[str]:
    """Domains (keys) whose champion a person switched when the newest day in the lake was in
    [``first``, ``before``).
    """
    query = sa.select(switches.c.domain_key).where(
        switches.c.data_day >= first.isoformat(), switches.c.data_day < before.isoformat()
    )
    return {row.domain_key for row in ledger.read(query)}


def waiting_challengers(ledger: Ledger, backbone: str, before: date) -> dict[str, Decision]:
    """By domain key the decision, of a day before, whose challenger waits."""
    rows = ledger.decisions(
        is_open(),
        decisions.c.state == "waiting",
        decisions.c.day < before.isoformat(),
        decisions.c.backbone == backbone,
    )
    return {row.domain_key: row for row in rows}


def made_for_others(ledger: Ledger, backbone: str) -> dict[str, int]:
    """By domain key the champion's version where it was made for another backbone."""
    same = sa.and_(
        adapters.c.domain_key == champions.c.domain_key,
        adapters.c.version == champions.c.version,
    )
    query = sa.select(champions.c.domain_key, champions.c.version).join(adapters, same)
    rows = ledger.read(query.where(adapters.c.backbone != backbone))
    return {row.domain_key: row.version for row in rows}


def asked_by(
    ledger: Ledger, rule: str, backbone: str, before: date, among: Collection[str]
) -> set[str]:
    """Domains (keys) of ``among`` for which a rule asked for a fine-tune on a day before, under a
    backbone.
    """
    # Those of an earlier release have their rule in the document alone.
    written = sa.and_(decisions.c.rule.is_(None), decisions.c.scores["rule"].as_string() == rule)
    query = sa.select(decisions.c.domain_key).where(
        decisions.c.backbone == backbone,
        decisions.c.day < before.isoformat(),
        sa.or_(decisions.c.rule == rule[:RULE_LENGTH], written),
    )
    keys = sorted(among)
    return {
        row.domain_key
        for start in range(0, len(keys), AT_ONCE)
        for row in ledger.read(
            query.where(decisions.c.domain_key.in_(keys[start : start + AT_ONCE]))
        )
    }


def last_finetunes(ledger: Ledger, backbone: str, before: date) -> list[LastFinetune]:
    """When each domain was decided for first and fine-tuned for last, before a day."""
    keys, own, acted = domain_keys(), decisions.alias("own"), decisions.alias("acted")

    def one(table: sa.FromClause, query: sa.Select[tuple[str]]) -> sa.ScalarSelect[str]:
        """The first row of a domain's decisions under the backbone."""
        same = table.c.domain_key == keys.c.domain_key, table.c.backbone == backbone
        earlier = table.c.day < before.isoformat()
        return query.where(*same, earlier).limit(1).correlate(keys).scalar_subquery()

    first = one(own, sa.select(own.c.day).order_by(own.c.day))
    tried = sa.select(acted.c.day).outerjoin_from(
        acted, redecided, acted.c.id == redecided.c.decision_id
    )
    tried = tried.where(is_asked(acted), ended_as(acted).in_(_TRIED)).order_by(acted.c.day.desc())
    rows = ledger.read(sa.select(keys.c.domain_key, first, one(acted, tried)))
    return [
        LastFinetune(key, date.fromisoformat(first), date.fromisoformat(last) if last else None)
        for key, first, last in rows
        if first is not None
    ]
