"""Claims: which decisions may be claimed, and which claims are lost."""

import time

import sqlalchemy as sa

from driftune.owners import has_ended, new_owner
from driftune.registry.indexes import is_open
from driftune.registry.newest import NEWEST_FIRST
from driftune.registry.records import Decision
from driftune.registry.schema import days, decisions, switches

# What a newer decision of the domain was, or may become, adapted for.
ACTED = ("pending", "claimed", "waiting", "promoted", "rejected", "undecided", "failed")
# States in which a run may hold a decision.
HELD = ("claimed", "waiting")
ATTEMPTS = 3


def is_lost(connection: sa.Connection) -> sa.ColumnElement[bool]:
    """Claims whose lease has expired or whose owner was a process of this machine that ended."""
    held = sa.and_(is_open(), decisions.c.state.in_(HELD), decisions.c.lease_until.is_not(None))
    owners = connection.scalars(sa.select(decisions.c.owner).where(held)).all()
    left = [owner for owner in owners if owner and has_ended(owner)]
    return sa.and_(held, sa.or_(decisions.c.lease_until < time.time(), decisions.c.owner.in_(left)))


def is_held(decision_id: str, owner: str) -> sa.ColumnElement[bool]:
    """The decision, while this owner holds it."""
    return sa.and_(
        decisions.c.id == decision_id,
        decisions.c.state.in_(HELD),
        decisions.c.owner == owner,
        decisions.c.lease_until.is_not(None),
    )


def take(connection: sa.Connection, row: Decision, state: str, lease_seconds: float) -> str | None:
    """Claim a free decision, which is in ``state`` then; returns the owner.

    One that is out of date ends as ``superseded`` instead, one that has been tried ``ATTEMPTS``
    times without an end as ``failed``; None then.
    """
    now = time.time()
    owner: str | None = new_owner()
    reason = out_of_date(connection, row)
    values: dict[str, str | float | None] = {
        "state": state,
        "owner": owner,
        "lease_until": now + lease_seconds,
        "attempts": row.attempts + 1,
    }
    if reason is not None:
        owner = None
        values = {"state": "superseded", "owner": owner, "note": reason}
    elif row.attempts >= ATTEMPTS:
        note = f"{row.attempts} attempts ended without a result; {row.note or 'no note'}"
        owner = None
        values = {"state": "failed", "owner": owner, "note": note}
    connection.execute(
        decisions.update().where(decisions.c.id == row.id).values(updated_at=now, **values)
    )
    return owner


def out_of_date(connection: sa.Connection, row: Decision) -> str | None:
    """Why a decision must not be adapted for any more; None when it may.

    Its rows may have trained a champion since, or are no longer what was measured: a challenger
    would be judged on rows that it, or the champion, was trained on.
    """
    same_day = sa.and_(decisions.c.day == row.day, decisions.c.decided_at > row.decided_at)
    newer = connection.scalar(
        sa.select(decisions.c.id)
        .where(decisions.c.domain_key == row.domain_key, decisions.c.state.in_(ACTED))
        .where(sa.or_(decisions.c.day > row.day, same_day))
        .order_by(*NEWEST_FIRST)
    )
    if newer is not None:
        return f"decision {newer} of the domain is newer"
    moved = connection.execute(
        sa.select(switches.c.to_version)
        .where(switches.c.domain_key == row.domain_key, switches.c.at > row.decided_at)
        .order_by(switches.c.id.desc())
    ).first()
    if moved is not None:
        return f"the champion was switched to version {moved.to_version} after the decision"
    day = connection.execute(sa.select(days.c.revision).where(days.c.day == row.day)).first()
    if day is not None and day.revision != row.revision:
        return f"{row.day} was delivered anew after the decision"
    return None
