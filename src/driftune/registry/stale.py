"""Decisions that are overtaken: by a new delivery of their day, or by a newer one."""

import time
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa

from driftune.registry.schema import decisions

# What has not been acted for yet is given up; what has ended stays as it ended.
_OPEN = ("review", "pending", "waiting")


def mark_stale(connection: sa.Connection, day: date, revision: int) -> list[str]:
    """Mark the decisions that used the day before ``revision``; returns their ids.

    A decision used it as its own day, or as one that its day was compared with. Those about the
    day itself that still wait for approval, an adaptation or a look end as superseded, unless a run
    holds them: its own checks find the change. In the caller's transaction.
    """
    now = time.time()
    moment = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M")
    note = f"{day} was delivered anew (revision {revision}) on {moment} UTC"
    found = connection.execute(
        sa.select(decisions.c.id, decisions.c.day, decisions.c.revision, decisions.c.scores)
        .where(decisions.c.day >= day.isoformat(), decisions.c.stale.is_(None))
        .order_by(decisions.c.id)
    ).all()
    own = [row.id for row in found if row.day == day.isoformat() and row.revision < revision]
    later = [
        row.id
        for row in found
        if row.day > day.isoformat() and day.isoformat() in (row.scores or {}).get("reference", [])
    ]
    connection.execute(
        decisions.update().where(decisions.c.id.in_([*own, *later])).values(stale=note)
    )
    connection.execute(
        decisions.update()
        .where(
            decisions.c.id.in_(own),
            decisions.c.state.in_(_OPEN),
            decisions.c.lease_until.is_(None),
        )
        .values(state="superseded", owner=None, note=note, updated_at=now)
    )
    return [*own, *later]


def give_way(connection: sa.Connection, newer: Mapping[str, Any]) -> None:
    """End the domain's older decisions that wait for approval; in the caller's transaction."""
    older = sa.or_(
        decisions.c.day < newer["day"],
        sa.and_(decisions.c.day == newer["day"], decisions.c.decided_at < newer["decided_at"]),
    )
    connection.execute(
        decisions.update()
        .where(
            decisions.c.domain_key == newer["domain_key"],
            decisions.c.state == "review",
            decisions.c.id != newer["id"],
            older,
        )
        .values(
            state="superseded",
            note=f"decision {newer['id']} of the domain is newer",
            updated_at=newer["decided_at"],
        )
    )
