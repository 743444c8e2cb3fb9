"""The outbox: messages queued in the transaction of what they tell, sent later, marked after.

A message has its event's own key, so that a step which is repeated queues it once. Who sends one
takes a lease first; a sender that dies in between leaves it to be sent again: at least once, and
to a target that has taken it not a second time.
"""

import time
from typing import Any

import sqlalchemy as sa

from driftune.registry.database import Database
from driftune.registry.schema import insert_new, messages

LEASE_SECONDS = 60.0
# What could not be sent for so long is news no more.
KEPT_SECONDS = 7 * 86400.0
MOST = 200


def queue(
    connection: sa.Connection,
    kind: str,
    key: str,
    *,
    domain: str | None = None,
    domain_key: str | None = None,
    day: str | None = None,
    **facts: Any,
) -> None:
    """Queue the message of an event, in the caller's transaction; once per ``kind`` and ``key``."""
    row: dict[str, Any] = {
        "id": f"{kind}:{key}",
        "kind": kind,
        "domain": domain,
        "domain_key": domain_key,
        "day": day,
        "facts": facts,
        "delivered": [],
        "queued_at": time.time(),
    }
    insert_new(connection, messages, row)


def owed(database: Database) -> list[sa.Row]:
    """Messages that are to be sent and that nobody is sending, oldest first."""
    now = time.time()
    query = sa.select(messages).where(
        messages.c.sent_at.is_(None), messages.c.queued_at > now - KEPT_SECONDS, _free(now)
    )
    return database.read(query.order_by(messages.c.queued_at, messages.c.id).limit(MOST))


def take(database: Database, message_id: str) -> bool:
    """Take a message to send it; False when another process has, or it was sent."""
    now = time.time()
    with database.write() as connection:
        taken = connection.execute(
            messages.update()
            .where(messages.c.id == message_id, messages.c.sent_at.is_(None), _free(now))
            .values(lease_until=now + LEASE_SECONDS)
        )
    return taken.rowcount == 1


def settle(database: Database, message_id: str, delivered: list[str], *, done: bool) -> None:
    """Keep which targets have taken a message, and whether none is left."""
    with database.write() as connection:
        connection.execute(
            messages.update()
            .where(messages.c.id == message_id)
            .values(delivered=delivered, lease_until=None, sent_at=time.time() if done else None)
        )


def _free(now: float) -> sa.ColumnElement[bool]:
    return sa.or_(messages.c.lease_until.is_(None), messages.c.lease_until < now)
