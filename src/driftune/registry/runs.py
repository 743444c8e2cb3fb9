"""The newest run that took a day in: when it began and how long its stations took."""

from collections.abc import Mapping
from datetime import date

import sqlalchemy as sa

from driftune.registry.database import Database
from driftune.registry.rows import RunRecord
from driftune.registry.schema import insert_new, runs


def record_run(
    database: Database,
    day: date,
    started: float,
    stations: Mapping[str, float],
    succeeded: bool | None,
) -> None:
    """Keep a run of a day in the place of the one before it; ``succeeded`` is None meanwhile.

    Args:
        started: seconds since 1970.
        stations: seconds by station, in their order.
    """
    values = {
        "started_at": started,
        "stations": [[name, round(seconds, 3)] for name, seconds in stations.items()],
        "succeeded": succeeded,
    }
    with database.write() as connection:
        if not insert_new(connection, runs, {"day": day.isoformat(), **values}):
            connection.execute(runs.update().where(runs.c.day == day.isoformat()).values(**values))


def newest_runs(database: Database) -> dict[str, RunRecord]:
    """The newest run of each day (ISO)."""
    return {row.day: RunRecord(**row._mapping) for row in database.read(sa.select(runs))}
