"""Commit: a staged day's accepted rows replace the day's partition of the lake."""

import json
import time
import uuid
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from driftune.config import Config
from driftune.domains import domain_key
from driftune.errors import LakeError
from driftune.logs.duck import connect, first_line, identifier, literal
from driftune.logs.lake import application, open_table, short_hash
from driftune.logs.loading import damaged_file
from driftune.logs.staging import Staged
from driftune.logs.suppressed import unless_erased

# Rows that are sorted at once, and how often a day is read for it at most.
SORTED_ROWS, MOST_GROUPS = 5_000_000, 8


def commit(config: Config, lake: Path, staged: Staged) -> int:
    """Replace the day's partition by the staged day's accepted rows, in one transaction.

    The rows are sorted by domain key, within a domain in the order of their delivery. DuckDB
    writes the files beside the staged day; they join the lake only when all are whole. The content
    hash is the transaction's version, so that the lake itself knows which content it holds.
    Returns the table's version.

    Raises:
        SourceError: when the day's files changed meanwhile, or users were erased; the lake is as
            it was then.
        LakeError: when the rows cannot be written, such as for want of room.
    """
    folder = lake / f"day={staged.day}"
    name = f"{uuid.uuid4()}.zstd.parquet"
    with connect(staged.database, memory=config.resources.memory) as con:
        try:
            schema, written = _write(con, config, staged, name)
            folder.mkdir(parents=True, exist_ok=True)
        except (duckdb.Error, OSError) as error:
            staged.fetched.check_unchanged()
            raise damaged_file(con, staged.fetched) or LakeError(
                f"{staged.day}: its rows cannot be written ({first_line(error)}); the lake is "
                "unchanged; make room, then run the day again"
            ) from None
    staged.fetched.check_unchanged()
    with unless_erased(config, staged.day, staged.suppressed):
        return replace_day(lake, staged.day, staged.content_hash, written, schema)


def replace_day(
    lake: Path, day: date, content_hash: str, written: dict[Path, int], arrow: Any = None
) -> int:
    """Put finished files (with their rows) in the place of a day's; returns the table's version.

    ``arrow`` is their schema; without it they have that of the lake.

    Raises:
        LakeError: when the lake takes no commit; the files are gone then.
    """
    folder = lake / f"day={day}"
    parts = {path.replace(folder / path.name): rows for path, rows in written.items()}
    try:
        return _replace_partition(lake, day.isoformat(), content_hash, parts, arrow)
    except BaseException:
        for part in parts:
            part.unlink(missing_ok=True)
        raise


def _write(con: Any, config: Config, staged: Staged, name: str) -> tuple[Any, dict[Path, int]]:
    """Write the accepted rows; returns their Arrow schema, and the files with their rows.

    Domains are written some at a time: to read the day again costs less than to sort on disk.
    """
    extra = [f"f_{name}" for name in config.features.categorical]
    extra += [f"x_{name}" for name in config.features.numerical]
    counted = con.execute(
        "SELECT domain, count(*) FROM staged WHERE rejected = 0 GROUP BY domain"
    ).fetchall()
    keys = sorted((domain_key(domain), domain, rows) for domain, rows in counted)
    select = ", ".join(
        [
            "event_time, hour, user_id, item_id, domain, domain_key",
            'click_value AS click, convert_value AS "convert", category',
            "price, request_id, position, propensity",
            *map(identifier, extra),
        ]
    )
    # One number to sort by beats three columns; rows whose numbers differ have one order.
    accepted = (
        f"SELECT {select} FROM staged JOIN keys USING (domain) WHERE rejected = 0 "
        f"ORDER BY place * {staged.rows + 1} + row_id"
    )
    files = {}
    for number, group in enumerate(_groups(keys)):
        con.execute(
            "CREATE OR REPLACE TEMP TABLE keys AS "
            "SELECT unnest(range(len($1))) AS place, unnest($1) AS domain_key, "
            "unnest($2) AS domain",
            [[key for key, *_ in group], [domain for _, domain, _ in group]],
        )
        target = staged.database.with_name(f"part-{number:05d}-{name}")
        (files[target],) = con.execute(
            f"COPY ({accepted}) TO {literal(str(target))} "
            "(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)"
        ).fetchone()
    schema = con.sql(f"SELECT {literal(str(staged.day))} AS day, * FROM ({accepted}) LIMIT 0")
    return schema.to_arrow_table().schema, files


def _groups(keys: list[tuple[str, str, int]]) -> list[list[tuple[str, str, int]]]:
    """Domains (key, name, rows) in their order, as many together as are sorted in memory."""
    limit = max(SORTED_ROWS, sum(rows for *_, rows in keys) // MOST_GROUPS)
    groups: list[list[tuple[str, str, int]]] = [[]]
    held = 0
    for each in keys:
        if groups[-1] and held + each[2] > limit:
            groups.append([])
            held = 0
        groups[-1].append(each)
        held += each[2]
    return groups


def _replace_partition(
    lake: Path, day: str, content_hash: str, parts: dict[Path, int], arrow: Any
) -> int:
    from deltalake import CommitProperties, DeltaTable, Schema, Transaction
    from deltalake.exceptions import DeltaError
    from deltalake.transaction import AddAction

    table = open_table(lake)
    schema = table.schema() if arrow is None else Schema.from_arrow(arrow)
    if table is None:
        table = DeltaTable.create(str(lake), schema, mode="ignore", partition_by=["day"])
    held = {field.name for field in table.schema().fields}
    new = [field for field in schema.fields if field.name not in held]
    added = [
        AddAction(
            path=f"day={day}/{part.name}",
            size=part.stat().st_size,
            partition_values={"day": day},
            modification_time=int(time.time() * 1000),
            data_change=True,
            stats=json.dumps({"numRecords": rows}),
        )
        for part, rows in parts.items()
    ]
    try:
        table.create_write_transaction(
            added,
            "overwrite",
            Schema([*table.schema().fields, *new]) if new else table.schema(),
            ["day"],
            [("day", "=", day)],
            commit_properties=CommitProperties(
                custom_metadata={"driftune.content": content_hash, "driftune.day": day},
                app_transactions=[
                    Transaction(application(date.fromisoformat(day)), short_hash(content_hash))
                ],
            ),
        )
    except (DeltaError, OSError) as error:
        raise LakeError(
            f"{day}: the lake {lake} takes no commit ({first_line(error)}); it is unchanged; run "
            "the day again"
        ) from None
    return DeltaTable(str(lake)).version()
