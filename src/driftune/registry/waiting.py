"""Challengers that wait: which are due to be judged again, and who judges them."""

from datetime import date

import sqlalchemy as sa

from driftune.errors import LedgerError
from driftune.registry.claims import is_lost, take
from driftune.registry.indexes import is_open
from driftune.registry.ledger import Ledger
from driftune.registry.records import Decision
from driftune.registry.records.decision import decision_query
from driftune.registry.records.gate import Look
from driftune.registry.records.states import QUIET
from driftune.registry.schema import decisions, redecided


def challengers(ledger: Ledger) -> list[Decision]:
    """The decisions whose challenger waits, by day, then domain."""
    return ledger.decisions(is_open(), decisions.c.state == "waiting")


def looks_due(ledger: Ledger, day: date) -> list[str]:
    """Ids of the decisions whose challenger waits and was not yet judged by rows of ``day``.

    One whose report is damaged is due: its own look says so, and stops no other.
    """
    return [row.id for row in challengers(ledger) if _is_due(row, day)]


def _is_due(row: Decision, day: date) -> bool:
    try:
        return last_look(row).day < day
    except LedgerError:
        return True


def claim_look(ledger: Ledger, decision_id: str, day: date) -> str | None:
    """Claim the look of ``day`` at a waiting challenger; returns the owner.

    None when another run has it or has judged the day; a decision that is out of date ends (see
    ``claims.take``).
    """
    with ledger.write() as connection:
        free = sa.or_(decisions.c.lease_until.is_(None), is_lost(connection))
        found = connection.execute(
            decision_query()
            .where(decisions.c.id == decision_id, decisions.c.state == "waiting", free)
            .with_for_update()
        ).mappings()
        row = next(map(Decision.of, found), None)
        if row is None or last_look(row).day >= day:
            return None
        owner = take(connection, row, "waiting", ledger.lease_seconds)
        ledger.tell_failed(connection, decision_id)
        return owner


def last_look(row: Decision) -> Look:
    """The newest look at a decision's challenger.

    Raises:
        LedgerError: when it was not judged, or its report is damaged.
    """
    look = None if row.gate is None else row.gate.last_look
    if look is None:
        raise LedgerError(f"decision '{row.id}': its challenger has not been judged yet")
    return look


def looks_told(row: Decision) -> str:
    """What a challenger waits for and how often it was judged, in words."""
    last, gate = last_look(row).day, row.gate
    if gate is None or gate.plan is None:
        return f"was last judged by rows of {last}"
    return (
        f"waits for {gate.waits_for}: {len(gate.looks)} of {gate.plan.looks} looks taken, the last "
        f"by rows of {last}"
    )


def decided_with(ledger: Ledger, row: Decision) -> int:
    """How many domains the decision's day asked a fine-tune for, under its backbone.

    They are known when the first of them is adapted, whatever became of them since; a decision
    that was made again counts as its successor asks.
    """
    query = sa.select(sa.func.count(sa.distinct(decisions.c.domain_key))).where(
        decisions.c.day == row.day,
        decisions.c.backbone == row.backbone,
        decisions.c.state.not_in(QUIET),
        decisions.c.id.not_in(sa.select(redecided.c.decision_id)),
    )
    ((count,),) = ledger.read(query)
    return int(count)
