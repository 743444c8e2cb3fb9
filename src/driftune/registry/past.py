"""The past: what the drift policy asks of the days before the one that it judges."""

from datetime import date
from typing import NamedTuple

import sqlalchemy as sa

from driftune.registry.ended import ENDED_AS, SAME
from driftune.registry.indexes import is_open
from driftune.registry.ledger import Ledger
from driftune.registry.newest import OLDEST_FIRST
from driftune.registry.records import Decision
from driftune.registry.schema import adapters, champions, decisions, redecided, switches

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


def days_served(ledger: Ledger, backbone: str, before: date) -> list[ServedDay]:
    """The days before ``before`` under a backbone, oldest first; of each domain and day the
    newest decision.
    """
    rows = ledger.read(
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


def asked_by(ledger: Ledger, rule: str, backbone: str, before: date) -> set[str]:
    """Domains (keys) for which a rule asked for a fine-tune on a day before, under a backbone."""
    query = sa.select(decisions.c.domain_key).where(
        decisions.c.backbone == backbone,
        decisions.c.day < before.isoformat(),
        decisions.c.scores["rule"].as_string() == rule,
    )
    return {row.domain_key for row in ledger.read(query)}


def last_finetunes(ledger: Ledger, backbone: str, before: date) -> list[LastFinetune]:
    """When each domain was decided for first and fine-tuned for last, before a day."""
    tried = ENDED_AS.in_(_TRIED)
    query = (
        sa.select(
            decisions.c.domain_key,
            sa.func.min(decisions.c.day),
            sa.func.max(sa.case((tried, decisions.c.day))),
        )
        .outerjoin_from(decisions, redecided, SAME)
        .where(decisions.c.backbone == backbone, decisions.c.day < before.isoformat())
        .group_by(decisions.c.domain_key)
    )
    return [
        LastFinetune(key, date.fromisoformat(first), date.fromisoformat(last) if last else None)
        for key, first, last in ledger.read(query)
    ]
