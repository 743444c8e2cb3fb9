"""The outbox: messages queued in the transaction of what they tell, sent later, marked after.

A message has its event's own key, so that a step which is repeated queues it once. Who sends one
takes a lease first; a sender that dies in between leaves it to be sent again: at least once, and
to a target that has taken it not a second time.
"""

import time
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from pydantic import JsonValue

from driftune.registry.database import Database
from driftune.registry.rows import Message
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


def withdraw(connection: sa.Connection, kind: str, key: str) -> None:
    """Take an event's message back unless it is being sent, or was; in the caller's transaction."""
    own = messages.c.id == f"{kind}:{key}"
    connection.execute(
        messages.delete().where(own, messages.c.sent_at.is_(None), _free(time.time()))
    )


def owed(database: Database) -> list[Message]:
    """Messages that are to be sent and that nobody is sending, oldest first."""
    now = time.time()
    query = sa.select(messages).where(
        messages.c.sent_at.is_(None), messages.c.queued_at > now - KEPT_SECONDS, _free(now)
    )
    rows = database.read(query.order_by(messages.c.queued_at, messages.c.id).limit(MOST))
    return [Message(**row._mapping) for row in rows]


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


def rewrite_facts(
    database: Database, change: Callable[[JsonValue], JsonValue], *, write: bool = True
) -> int:
    """Change what all messages tell, sent ones too; returns how many that changes.

    What was overwritten is gone from the database's file as well. ``write``: else only counted.

    Raises:
        LedgerBusyError: when another process keeps the ledger locked.
    """
    changed = 0
    with database.write() as connection:
        for row in connection.execute(sa.select(messages.c.id, messages.c.facts)).all():
            facts = change(row.facts)
            if facts == row.facts:
                continue
            changed += 1
            if write:
                this = messages.update().where(messages.c.id == row.id)
                connection.execute(this.values(facts=facts))
    if changed and write:
        database.forget()
    return changed


def _free(now: float) -> sa.ColumnElement[bool]:
    return sa.or_(messages.c.lease_until.is_(None), messages.c.lease_until < now)
