"""The domains at a glance: champion, last drift, last decision."""

from datetime import UTC, datetime
from typing import TypedDict

import sqlalchemy as sa

from driftune.registry.decision_queries import decisions_by_id
from driftune.registry.ended import ENDED_AS, SAME
from driftune.registry.ledger import BASE, Ledger
from driftune.registry.newest import OLDEST_FIRST
from driftune.registry.records.states import QUIET
from driftune.registry.schema import decisions, redecided
from driftune.registry.stale_champions import stale_champions
from driftune.registry.weak_champions import weak_champions
from driftune.registry.why import why


class DomainStatus(TypedDict):
    """A domain: ``champion`` serves since a moment (UTC), ``champion_stale`` says which of its days
    was delivered anew since, ``champion_weak`` how it falls short of plain models; ``day`` to
    ``why`` are of its last decision, ``why`` a sentence on why it stands where it does;
    ``last_adaptation`` is the last one that asked for a fine-tune.
    """

    domain: str
    key: str
    champion: int
    since: str | None
    champion_stale: str | None
    champion_weak: str | None
    day: str | None
    drift: float | None
    state: str | None
    decision: str | None
    stale: str | None
    why: str | None
    last_adaptation: str | None


def domain_status(ledger: Ledger) -> list[DomainStatus]:
    """One row per domain that ever had a decision or a champion, sorted by name."""
    champions = ledger.champions()
    names = ("id", "domain", "domain_key", "day", "state", "score", "stale")
    # Without the reports that every decision holds: years of them take long to read.
    query = sa.select(*(decisions.c[name] for name in names), ENDED_AS)
    told = ledger.read(query.outerjoin_from(decisions, redecided, SAME).order_by(*OLDEST_FIRST))
    last = {row.domain_key: row for row in told}
    moved = {row.domain_key: row for row in told if row.ended_as not in QUIET}
    stale, weak = stale_champions(ledger), weak_champions(ledger)
    whole = decisions_by_id(ledger, [row.id for row in last.values()])
    rows: list[DomainStatus] = []
    for key in sorted({*last, *champions}):
        decision, champion = last.get(key), champions.get(key)
        acted = moved.get(key)
        rows.append(
            {
                "domain": decision.domain if decision else champions[key].domain,
                "key": key,
                "champion": champion.version if champion else BASE,
                "since": _day(champion.switched_at) if champion else None,
                "champion_stale": stale[key].told if key in stale else None,
                "champion_weak": weak.get(key),
                "day": decision.day if decision else None,
                "drift": decision.score if decision else None,
                "state": decision.state if decision else None,
                "decision": decision.id if decision else None,
                "stale": decision.stale if decision else None,
                "why": why(whole[decision.id]) if decision and decision.id in whole else None,
                "last_adaptation": acted.id if acted else None,
            }
        )
    return sorted(rows, key=lambda row: row["domain"])


def domain_names(ledger: Ledger) -> dict[str, str]:
    """The name of every domain that ever had a decision or a champion, by key."""
    decided = sa.select(decisions.c.domain_key, decisions.c.domain).distinct()
    names = {row.domain_key: row.domain for row in ledger.read(decided)}
    return names | {key: row.domain for key, row in ledger.champions().items()}


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M")
