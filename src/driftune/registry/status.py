"""The domains at a glance: champion, last drift, last decision."""

from datetime import UTC, datetime
from typing import NamedTuple, TypedDict

import sqlalchemy as sa

from driftune.registry.decision_queries import decisions_by_id
from driftune.registry.ended import ended_as
from driftune.registry.indexes import is_asked
from driftune.registry.ledger import BASE, Ledger
from driftune.registry.records import Decision
from driftune.registry.records.states import QUIET
from driftune.registry.schema import decisions, redecided
from driftune.registry.stale_champions import stale_champions
from driftune.registry.walks import domain_keys, newest_first, newest_of
from driftune.registry.weak_champions import weak_champions
from driftune.registry.why import is_judged, why


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
    last, moved = _last(ledger), _moved(ledger)
    stale, weak = stale_champions(ledger), weak_champions(ledger)
    # Why a gate decided as it did stands in its report; all others tell it without documents.
    told = decisions_by_id(ledger, [row.id for row in last.values() if is_judged(row)])
    rows: list[DomainStatus] = []
    for key in sorted({*last, *champions}):
        decision, champion = last.get(key), champions.get(key)
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
                "why": _why(decision, told.get(decision.id)) if decision else None,
                "last_adaptation": moved.get(key),
            }
        )
    return sorted(rows, key=lambda row: row["domain"])


class _Last(NamedTuple):
    """A domain's newest decision, without its documents."""

    domain_key: str
    id: str
    domain: str
    day: str
    state: str
    score: float | None
    stale: str | None
    note: str | None
    sentence: str


def _last(ledger: Ledger) -> dict[str, _Last]:
    """Each domain's newest decision, by key."""
    keys = domain_keys()
    query = sa.select(*(decisions.c[name] for name in _Last._fields)).join_from(
        keys, decisions, decisions.c.id == newest_of(keys.c.domain_key)
    )
    return {row[0]: _Last(*row) for row in ledger.read(query)}


def _why(row: _Last, whole: Decision | None) -> str:
    return row.note or row.sentence if whole is None else why(whole)


def _moved(ledger: Ledger) -> dict[str, str]:
    """By domain key the id of its newest decision that asked for a fine-tune."""
    keys, own = domain_keys(), decisions.alias()
    asked = (
        sa.select(own.c.id)
        .outerjoin_from(own, redecided, own.c.id == redecided.c.decision_id)
        .where(own.c.domain_key == keys.c.domain_key, is_asked(own))
        .where(ended_as(own).not_in(QUIET))
        .order_by(*newest_first(own))
        .limit(1)
        .scalar_subquery()
    )
    rows = ledger.read(sa.select(keys.c.domain_key, asked))
    return {key: found for key, found in rows if found is not None}


def domain_names(ledger: Ledger) -> dict[str, str]:
    """The name of every domain that ever had a decision or a champion, by key."""
    keys = domain_keys()
    newest = decisions.c.id == newest_of(keys.c.domain_key)
    decided = sa.select(decisions.c.domain_key, decisions.c.domain).join_from(
        keys, decisions, newest
    )
    names = {row.domain_key: row.domain for row in ledger.read(decided)}
    return names | {key: row.domain for key, row in ledger.champions().items()}


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M")
