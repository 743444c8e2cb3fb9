"""Days of the lake in the ledger: the newest, copies for trials, contents that were rewritten."""

from datetime import date

import sqlalchemy as sa

from driftune.registry.database import Database
from driftune.registry.ledger import Ledger
from driftune.registry.rows import DayRecord
from driftune.registry.schema import days


def newest_record(ledger: Ledger) -> DayRecord | None:
    """The record of the newest day in the lake; None without any."""
    row = ledger.one(sa.select(days).order_by(days.c.day.desc()).limit(1))
    return None if row is None else DayRecord(**row._mapping)


def copy_days(source: Ledger, target: Database) -> None:
    """Write all days of a ledger into another one, which has none."""
    with target.write() as connection:
        connection.execute(days.insert(), [row._asdict() for row in source.days()])


def rename_content(
    ledger: Ledger, day: date, revision: int, *, content_hash: str, lake_version: int, rows: int
) -> None:
    """Keep what the lake now holds of a day that lost rows; its revision stays."""
    with ledger.write() as connection:
        connection.execute(
            days.update()
            .where(days.c.day == day.isoformat(), days.c.revision == revision)
            .values(content_hash=content_hash, lake_version=lake_version, rows=rows)
        )


def give_up_day(ledger: Ledger, day: date, verdict: str) -> None:
    """Say by its verdict that the lake no longer holds a day."""
    with ledger.write() as connection:
        connection.execute(
            days.update().where(days.c.day == day.isoformat()).values(verdict=verdict)
        )
