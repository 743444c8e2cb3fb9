"""Review first: decisions that wait for a person's approval, and who said what of them, when, why.

``review`` is the state of a decision that is held; approved it is ``pending``, else ``declined``.
Held ones overtake nothing: what was approved before is adapted whatever else waits to be looked at.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypedDict

import sqlalchemy as sa

from driftune.errors import LedgerError, RegistryError
from driftune.registry.claims import out_of_date
from driftune.registry.indexes import is_open
from driftune.registry.ledger import Ledger
from driftune.registry.records import Decision
from driftune.registry.records.decision import decision_query
from driftune.registry.schema import decisions, insert_new, reviews

REVIEW, DECLINED = "review", "declined"


@dataclass(frozen=True)
class Reviewed:
    """A decision after its review: the ``state`` that it is in now, and in a line why."""

    decision_id: str
    state: str
    told: str


class ReviewEntry(TypedDict):
    """What a person said of a decision; ``at`` is ISO in UTC."""

    at: str
    decision: str
    verdict: str
    who: str
    why: str


def awaiting(ledger: Ledger) -> list[Decision]:
    """Decisions that wait for approval, by day, then domain."""
    return ledger.decisions(is_open(), decisions.c.state == REVIEW)


def approve(ledger: Ledger, decision_id: str, who: str, why: str) -> Reviewed:
    """Let a held decision be adapted for; one that is out of date ends as superseded instead.

    Raises:
        LedgerError: when there is no such decision.
        RegistryError: when it does not wait for approval; the line says what became of it.
    """
    return _conclude(ledger, decision_id, "pending", who, why)


def decline(ledger: Ledger, decision_id: str, who: str, why: str) -> Reviewed:
    """End a held decision without an adaptation, or as superseded when it is out of date.

    Raises:
        LedgerError: when there is no such decision.
        RegistryError: when no reason is given, or it does not wait for approval.
    """
    if not why.strip():
        raise RegistryError(f"{decision_id}: the audit keeps why; give --why some text")
    return _conclude(ledger, decision_id, DECLINED, who, why)


def _conclude(ledger: Ledger, decision_id: str, state: str, who: str, why: str) -> Reviewed:
    now = time.time()
    with ledger.write() as connection:
        found = connection.execute(
            decision_query().where(decisions.c.id == decision_id).with_for_update()
        ).mappings()
        row = next(map(Decision.of, found), None)
        if row is None:
            raise LedgerError(
                f"decision '{decision_id}' is not in the ledger; see driftune approve --list"
            )
        if row.state != REVIEW:
            raise RegistryError(f"{decision_id}: {_already(connection, row)}")
        reason = out_of_date(connection, row)
        if reason is not None:
            state = "superseded"
        verdict = DECLINED if state == DECLINED else "approved"
        note = {"superseded": reason, DECLINED: f"declined by {who}: {why}"}.get(state)
        connection.execute(
            decisions.update()
            .where(decisions.c.id == decision_id)
            .values(state=state, note=note, updated_at=now)
        )
        if reason is not None:
            return Reviewed(decision_id, state, f"superseded, nothing is adapted: {reason}")
        insert_new(
            connection,
            reviews,
            {
                "decision_id": decision_id,
                "domain_key": row.domain_key,
                "verdict": verdict,
                "who": who,
                "reason": why,
                "at": now,
            },
        )
    return Reviewed(decision_id, state, verdict)


def _already(connection: sa.Connection, row: Decision) -> str:
    """What became of a decision that does not wait for approval."""
    told = connection.execute(
        sa.select(reviews).where(reviews.c.decision_id == row.id)
    ).one_or_none()
    if told is None:
        return f"does not wait for approval, its state is '{row.state}'"
    at = datetime.fromtimestamp(told.at, UTC).strftime("%Y-%m-%d %H:%M")
    return f"was {told.verdict} by {told.who} on {at} UTC, its state is '{row.state}'"


def reviews_of(ledger: Ledger, key: str | None = None) -> list[ReviewEntry]:
    """What was approved and declined, of a domain or of all, oldest first; ``at`` is ISO in UTC."""
    query = sa.select(reviews).order_by(reviews.c.at, reviews.c.decision_id)
    rows = ledger.read(query if key is None else query.where(reviews.c.domain_key == key))
    return [
        {
            "at": datetime.fromtimestamp(row.at, UTC).isoformat(timespec="seconds"),
            "decision": row.decision_id,
            "verdict": row.verdict,
            "who": row.who,
            "why": row.reason,
        }
        for row in rows
    ]
