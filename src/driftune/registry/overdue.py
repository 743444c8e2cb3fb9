"""Decisions that no run has taken up: those that are out of date end, the others are overdue."""

import time
from datetime import date

from driftune.registry.claims import out_of_date
from driftune.registry.indexes import is_open
from driftune.registry.ledger import Ledger
from driftune.registry.records import Decision
from driftune.registry.records.decision import decision_query
from driftune.registry.schema import decisions

# Each attempt that gave its decision back lets it wait so many times longer for the next.
PATIENCE = 12


def end_outdated(ledger: Ledger) -> list[Decision]:
    """End decisions that must not be adapted for any more (see ``claims.out_of_date``).

    The pending ones would end so when claimed, those that wait for approval when approved.
    Returns them as they end.
    """
    ended = []
    with ledger.write() as connection:
        query = decision_query().where(is_open(), decisions.c.state.in_(("pending", "review")))
        rows = connection.execute(query.order_by(decisions.c.id).with_for_update()).mappings()
        for row in map(Decision.of, rows.all()):
            reason = out_of_date(connection, row)
            if reason is None:
                continue
            identity = decisions.c.id == row.id
            connection.execute(
                decisions.update()
                .where(identity)
                .values(state="superseded", owner=None, note=reason, updated_at=time.time())
            )
            now = connection.execute(decision_query().where(identity)).mappings().one()
            ended.append(Decision.of(now))
    return ended


def overdue(ledger: Ledger, minutes: float) -> list[Decision]:
    """Decisions that wait for an adaptation which should have begun, oldest first.

    A claim whose run died is overdue at once, a decision after ``minutes`` without a run, and one
    that an attempt gave back (MLflow was away, say) after ``PATIENCE`` times as long, and so on:
    its few attempts are not spent in one outage.
    """
    now = time.time()
    return [
        row
        for row in ledger.waiting(date.max)
        if row.state == "claimed" or now - row.updated_at >= minutes * 60 * PATIENCE**row.attempts
    ]
