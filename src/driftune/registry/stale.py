"""Decisions that are overtaken: by a new delivery of their day, or by a newer one."""

import time
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from datetime import time as clock
from typing import Any

import sqlalchemy as sa

from driftune.registry.indexes import is_asked
from driftune.registry.records import Decision
from driftune.registry.records.decision import decision_query
from driftune.registry.schema import decisions

# What has not been acted for yet is given up; what has ended stays as it ended.
_OPEN = ("review", "pending", "waiting")


def mark_stale(
    connection: sa.Connection, day: date, revision: int, zone: tzinfo = UTC
) -> list[str]:
    """Mark the decisions that used the day before ``revision``; returns their ids.

    A decision used it as its own day, as one that its day was compared with, or as one whose rows
    trained its challenger or were looked at by the gate (``zone``: that of the days). What only
    the counters of those rows look back on does not count. Decisions about the day itself that
    still wait for approval, an adaptation or a look end as superseded, unless a run holds them:
    its own checks find the change. In the caller's transaction.
    """
    now = time.time()
    moment = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M")
    note = f"{day} was delivered anew (revision {revision}) on {moment} UTC"
    # A challenger is looked at on days after its decision's, too.
    judged = sa.and_(is_asked(), decisions.c.gate.is_not(None))
    after = sa.or_(decisions.c.day >= day.isoformat(), judged)
    rows = connection.execute(
        decision_query().where(after, decisions.c.stale.is_(None)).order_by(decisions.c.id)
    ).mappings()
    found = [Decision.of(row) for row in rows]
    own = [row.id for row in found if row.day == day.isoformat() and row.revision < revision]
    later = [
        row.id
        for row in found
        if row.id not in own and (_compared(row, day) or _trained_or_judged(row, day, zone))
    ]
    connection.execute(
        decisions.update()
        .where(decisions.c.id.in_([*own, *later]))
        .values(stale=note, updated_at=now)
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


def _compared(row: Decision, day: date) -> bool:
    return day in row.scores.reference


def _trained_or_judged(row: Decision, day: date, zone: tzinfo) -> bool:
    """Whether rows of the day lie between the first that trained and the last that judged."""
    if row.day == day.isoformat():
        return False
    splits = [carrier.split for carrier in (row.training, row.gate) if carrier and carrier.split]
    firsts = [split.train.begins for split in splits if split.train and split.train.begins]
    lasts = [split.gate.ends for split in splits if split.gate and split.gate.ends]
    if not firsts or not lasts:
        return False
    begins = datetime.combine(day, clock(), zone)
    ends = datetime.combine(day + timedelta(days=1), clock(), zone)
    looked = max((look.day for look in row.gate.looks), default=date.min) if row.gate else date.min
    return min(firsts) < ends and (begins <= max(lasts) or day <= looked)


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
