"""The lake: one Delta table of accepted impressions, partitioned by day, sorted by domain key."""

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from driftune.config import Config
from driftune.domains import domain_key
from driftune.errors import LakeError
from driftune.logs.duck import connect, first_line, identifier, literal
from driftune.logs.staging import Staged


def commit(config: Config, lake: Path, staged: Staged) -> int:
    """Replace the day's partition by the staged day's accepted rows, in one transaction.

    The content hash is the transaction's version, so that the lake itself knows which content
    it holds. Returns the table's version.
    """
    from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

    day = staged.day.isoformat()
    extra = [f"f_{name}" for name in config.features.categorical]
    extra += [f"x_{name}" for name in config.features.numerical]
    with connect(staged.database) as con:
        names = con.execute(
            "SELECT DISTINCT domain FROM staged WHERE rejected = 0 ORDER BY domain"
        ).fetchall()
        con.execute("CREATE OR REPLACE TEMP TABLE keys (domain VARCHAR, domain_key VARCHAR)")
        con.executemany(
            "INSERT INTO keys VALUES (?, ?)", [(name, domain_key(name)) for (name,) in names]
        )
        select = ", ".join(
            [
                f"{literal(day)} AS day, event_time, hour, user_id, item_id, domain, domain_key",
                'click_value AS click, convert_value AS "convert", category',
                "price, position, propensity",
                *map(identifier, extra),
            ]
        )
        reader = con.sql(
            f"SELECT {select} FROM staged JOIN keys USING (domain) WHERE rejected = 0 "
            "ORDER BY domain_key, event_time, row_id"
        ).to_arrow_reader(1 << 17)
        write_deltalake(
            str(lake),
            reader,
            mode="overwrite",
            predicate=f"day = '{day}'",
            partition_by=["day"],
            schema_mode="merge",
            commit_properties=CommitProperties(
                custom_metadata={"driftune.content": staged.content_hash},
                app_transactions=[Transaction(_application(staged.day), _version(staged))],
            ),
        )
        del reader
    return DeltaTable(str(lake)).version()


def held_content(lake: Path, day: date) -> int | None:
    """The short content hash of the day that the lake holds, or None."""
    table = _table(lake)
    return None if table is None else table.transaction_version(_application(day))


def short_hash(content_hash: str) -> int:
    """A content hash as the lake's transaction version: its first 62 bits."""
    return int(content_hash[:16], 16) >> 2


def held_days(lake: Path) -> list[date]:
    """The days in the lake, in order."""
    table = _table(lake)
    if table is None:
        return []
    days = {str(part["day"]) for part in table.partitions()}
    return sorted(date.fromisoformat(day) for day in days)


def held_contents(lake: Path) -> dict[date, int]:
    """The days in the lake with the short content hash of each, in order."""
    table = _table(lake)
    if table is None:
        return {}
    return {day: table.transaction_version(_application(day)) or 0 for day in held_days(lake)}


def relation(lake: Path, days: Iterable[date]) -> str:
    """Return a DuckDB table expression over the given days of the lake.

    Raises:
        LakeError: when a day is not in the lake.
    """
    wanted = sorted(set(days))
    table = _table(lake)
    uris: list[str] = []
    missing: list[str] = []
    held = {} if table is None else _files_by_day(table)
    for day in wanted:
        files = held.get(day.isoformat())
        if files:
            uris += files
        else:
            missing.append(day.isoformat())
    if missing:
        raise LakeError(
            f"the lake {lake} lacks {', '.join(missing)}; ingest these days first: "
            f"driftune run --day {missing[0]}"
        )
    listed = ", ".join(literal(uri) for uri in uris)
    return (
        f"read_parquet([{listed}], hive_partitioning=true, union_by_name=true, "
        "hive_types={'day': DATE})"
    )


def known_domains(lake: Path, days: Iterable[date]) -> list[str]:
    """Names of the domains that the given days have, sorted."""
    with connect() as con:
        rows = con.execute(
            f"SELECT DISTINCT domain FROM {relation(lake, days)} ORDER BY domain"
        ).fetchall()
    return [name for (name,) in rows]


def _table(lake: Path) -> Any:
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    try:
        return DeltaTable(str(lake))
    except TableNotFoundError:
        return None
    except DeltaError as error:
        raise LakeError(
            f"the lake {lake} is damaged ({first_line(error)}); put a backup back, or move it "
            "away and replay its days"
        ) from None


def _files_by_day(table: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for uri in map(unquote, table.file_uris()):
        day = uri.rsplit("/day=", 1)[-1].split("/", 1)[0]
        found.setdefault(day, []).append(uri)
    return found


def _application(day: date) -> str:
    return f"driftune.day.{day}"


def _version(staged: Staged) -> int:
    return short_hash(staged.content_hash)
