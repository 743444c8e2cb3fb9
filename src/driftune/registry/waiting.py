"""Challengers that wait: which are due to be judged again, and who judges them."""

from datetime import date
from typing import Any

import sqlalchemy as sa

from driftune.registry.claims import is_lost, take
from driftune.registry.ledger import Ledger
from driftune.registry.rows import DecisionRow
from driftune.registry.schema import decisions

# States of domains in which no fine-tune was asked for.
QUIET = ("stable", "watched", "insufficient")


def challengers(ledger: Ledger) -> list[DecisionRow]:
    """The decisions whose challenger waits, by day, then domain."""
    return ledger.decisions(decisions.c.state == "waiting")


def looks_due(ledger: Ledger, day: date) -> list[str]:
    """Ids of the decisions whose challenger waits and was not yet judged by rows of ``day``."""
    return [row.id for row in challengers(ledger) if last_look(row.gate) < day.isoformat()]


def claim_look(ledger: Ledger, decision_id: str, day: date) -> str | None:
    """Claim the look of ``day`` at a waiting challenger; returns the owner.

    None when another run has it or has judged the day; a decision that is out of date ends (see
    ``claims.take``).
    """
    with ledger.write() as connection:
        free = sa.or_(decisions.c.lease_until.is_(None), is_lost(connection))
        row = connection.execute(
            sa.select(decisions)
            .where(decisions.c.id == decision_id, decisions.c.state == "waiting", free)
            .with_for_update()
        ).one_or_none()
        if row is None or last_look(row.gate) >= day.isoformat():
            return None
        owner = take(connection, row, "waiting", ledger.lease_seconds)
        ledger.tell_failed(connection, decision_id)
        return owner


def last_look(gate: dict[str, Any]) -> str:
    """The day (ISO) of the newest rows that a decision's challenger was judged by."""
    return str(gate["looks"][-1]["day"])


def looks_told(gate: dict[str, Any]) -> str:
    """What a challenger waits for and how often it was judged, in words."""
    looks, planned = len(gate["looks"]), gate["plan"]["looks"]
    return (
        f"waits for {gate['waits_for']}: {looks} of {planned} looks taken, the last by rows of "
        f"{last_look(gate)}"
    )


def decided_with(ledger: Ledger, row: DecisionRow) -> int:
    """How many domains the decision's day asked a fine-tune for, under its backbone.

    They are known when the first of them is adapted, whatever became of them since.
    """
    query = sa.select(sa.func.count(sa.distinct(decisions.c.domain_key))).where(
        decisions.c.day == row.day,
        decisions.c.backbone == row.backbone,
        decisions.c.state.not_in(QUIET),
    )
    ((count,),) = ledger.read(query)
    return int(count)
