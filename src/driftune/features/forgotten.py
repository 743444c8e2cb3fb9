"""Values of a vocabulary that no row has any more: what a user alone had goes with their rows."""

import logging
from collections.abc import Sequence
from pathlib import Path

from driftune.config import Config
from driftune.features.counters import lake_column
from driftune.lake.duck import connect, parquet
from driftune.lake.table import Lake

log = logging.getLogger("driftune")

# Users are forgotten by name, domains and hours are nobody's.
_NOT_LOOKED_AT = ("user", "domain", "hour")


def lost_values(config: Config, folder: Path, users: Sequence[str]) -> list[tuple[str, str]]:
    """Entries (field, value) of the vocabulary in ``folder`` that no row of the lake but those of
    ``users`` has.

    Where a reference day has left the lake nobody can tell: there are none then, and the log says
    what to do.
    """
    vocabulary, view = folder / "vocabulary.parquet", Lake.of(config)
    if not vocabulary.exists():
        return []
    days = [day for day in view.days if view.damage(day, deep=False) is None]
    gone = sorted(set(config.reference.days) - set(days))
    if gone:
        log.warning(
            "reference day %s is not in the lake: values that only erased users had may stay in "
            "%s; bring it in again and erase again, or run driftune pretrain",
            *(gone[0], vocabulary),
        )
        return []
    found: list[tuple[str, str]] = []
    with connect(reach=[view.place, folder], memory=config.resources.memory) as con:
        con.execute(
            f"CREATE TEMP TABLE looked_for AS SELECT field, value FROM {parquet(vocabulary)} "
            "WHERE value IS NOT NULL"
        )
        con.execute("CREATE TEMP TABLE theirs AS SELECT unnest(?::VARCHAR[]) AS id", [list(users)])
        fields = [field for (field,) in con.execute(
            "SELECT DISTINCT field FROM looked_for ORDER BY 1").fetchall()]  # fmt: skip
        types = view.types(con)
        reference = [day for day in days if day in config.reference.days]
        # Nearly all are found in the days that they came from.
        for some in (reference, [day for day in days if day not in reference]):
            for field in [each for each in fields if each not in _NOT_LOOKED_AT]:
                column = lake_column(field)
                if not some or column.strip('"') not in types:
                    continue
                con.execute(
                    f"DELETE FROM looked_for WHERE field = $1 AND value IN (SELECT DISTINCT "
                    f"{column} FROM {view.whole_relation(con, some)} WHERE user_id NOT IN "
                    "(FROM theirs))",
                    [field],
                )
        for field in [each for each in fields if each not in _NOT_LOOKED_AT]:
            if lake_column(field).strip('"') in types:
                rows = con.execute("SELECT value FROM looked_for WHERE field = ?", [field])
                found += [(field, value) for (value,) in rows.fetchall()]
    return found
