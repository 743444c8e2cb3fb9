"""Commit: a staged day's accepted rows replace the day's partition of the lake."""

import json
import time
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import duckdb

from driftune.config import Config
from driftune.domains import domain_key
from driftune.errors import LakeError
from driftune.intake.negatives import drawn_select
from driftune.lake.applied import saying
from driftune.lake.duck import (
    DICTIONARY,
    Connection,
    connect,
    first_line,
    identifier,
    is_out_of_room,
    literal,
)
from driftune.lake.loading import damaged_file
from driftune.lake.store import LakeStore, reason, store_of
from driftune.lake.suppressed import unless_erased
from driftune.lake.table import Lake, application, file_name, open_table, short_hash
from driftune.quality.staged import Staged

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable, Schema, Transaction


def commit(config: Config, staged: Staged) -> int:
    """Replace the day's partition by the staged day's accepted rows, in one transaction.

    The rows lie in the order of their delivery: whoever needs another one sorts by it, and to sort
    a large day here would mean to read it several times. DuckDB writes the file beside the staged
    day; it joins the lake only when it is whole. The content hash is the transaction's version and
    part of the file's name, so that the lake itself knows which content it holds. Returns the
    table's version.

    Raises:
        SourceError: when the day's files changed meanwhile, or users were erased; the lake is as
            it was then.
        LakeError: when the rows cannot be written, such as for want of room.
    """
    store = store_of(config)
    with connect(staged.database, reach=staged.reach, memory=config.resources.memory) as con:
        try:
            schema, written, rows = _write(con, config, staged)
        except (duckdb.Error, OSError) as error:
            staged.fetched.check_unchanged()
            remedy = "make room" if is_out_of_room(error) else f"see to {staged.database.parent}"
            raise damaged_file(con, staged.fetched) or LakeError(
                f"{staged.day}: its rows cannot be written ({first_line(error)}); the lake is "
                f"unchanged; {remedy}, then run the day again"
            ) from None
    staged.fetched.check_unchanged()
    with unless_erased(config, staged.day, staged.erased.state):
        erasures = staged.erased.done
        return replace_day(
            store, staged.day, staged.content_hash, {written: rows}, schema, erasures=erasures
        )


def replace_day(
    store: LakeStore,
    day: date,
    content_hash: str,
    written: dict[Path, int],
    arrow: "pa.Schema | None" = None,
    *,
    erasures: int = 0,
) -> int:
    """Put finished files (with their rows) in the place of a day's; returns the table's version.

    ``arrow`` is their schema; without it they have that of the lake. ``erasures``: the number of
    the last one, which a lake that is made by this says that it has had.

    Raises:
        LakeError: when the lake takes no file or no commit; the files are gone then.
    """
    parts: list[_Part] = []
    try:
        for number, (path, rows) in enumerate(written.items()):
            name = f"day={day}/{file_name(number, content_hash, path)}"
            parts.append(_Part(name, path.stat().st_size, rows))
            store.add(path, name)
        _replace_partition(store, day.isoformat(), content_hash, parts, arrow, erasures)
    except BaseException as error:
        named = _is_named(store, day, parts)
        if named is False:
            for part in parts:
                with suppress(LakeError, OSError):
                    store.drop(part.name)
        if not isinstance(error, LakeError):
            raise
        if not named:
            state = "; the lake is unchanged" if named is False else ""
            raise LakeError(f"{day}: {error}{state}; run the day again") from None
    table = open_table(store)
    assert table is not None
    return int(table.version())


# What the lake has of every row, in its order.
_COLUMNS = (
    *("event_time", "hour", "user_id", "item_id", "domain", "domain_key", "click", "convert"),
    *("category", "price", "request_id", "position", "propensity"),
)


class _Part(NamedTuple):
    """A data file of a day: its name in the lake, bytes, rows."""

    name: str
    size: int
    rows: int


def _is_named(store: LakeStore, day: date, parts: list[_Part]) -> bool | None:
    """Whether the lake's newest version has these files for the day; None where nobody can tell.

    An object store may have taken a commit whose answer was lost on its way.
    """
    try:
        files = Lake.at(store).files.get(day, {})
    except LakeError:
        return None
    return set(files) == {part.name for part in parts}


def _write(con: Connection, config: Config, staged: Staged) -> tuple["pa.Schema", Path, int]:
    """Write the accepted rows; returns their Arrow schema, the file and its rows."""
    extra = [f"f_{name}" for name in config.features.categorical]
    extra += [f"x_{name}" for name in config.features.numerical]
    extra += [column.name for column in staged.evolution.kept]
    found = con.execute("SELECT DISTINCT domain FROM tally WHERE NOT rejected").fetchall()
    names = sorted(domain for (domain,) in found)
    con.execute(
        "CREATE TEMP TABLE keys AS SELECT unnest($1) AS domain, unnest($2) AS domain_key",
        [names, [domain_key(domain) for domain in names]],
    )
    columns = {name: identifier(name) for name in (*_COLUMNS, *extra)}
    columns |= {"click": "click_value", "convert": "convert_value"}
    select = ", ".join(f"{sql} AS {identifier(name)}" for name, sql in columns.items())
    drawn = ", false AS drawn" if config.negatives else ""
    accepted = f"SELECT {select}{drawn} FROM staged JOIN keys USING (domain) WHERE rejected = 0"
    if config.negatives:
        accepted += f" UNION ALL BY NAME {drawn_select(con, columns)}"
    target = staged.database.with_name("accepted.parquet")
    ((rows,),) = con.execute(
        f"COPY ({accepted}) TO {literal(str(target))} "
        "(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, "
        f"DICTIONARY_SIZE_LIMIT {DICTIONARY})"
    ).fetchall()
    schema = con.sql(f"SELECT {literal(str(staged.day))} AS day, * FROM ({accepted}) LIMIT 0")
    return schema.to_arrow_table().schema, target, rows


def _replace_partition(
    store: LakeStore,
    day: str,
    content_hash: str,
    parts: list[_Part],
    arrow: "pa.Schema | None",
    erasures: int,
) -> None:
    from deltalake import DeltaTable, Schema
    from deltalake.exceptions import DeltaError

    table = open_table(store)
    try:
        if arrow is not None:
            schema = Schema.from_arrow(arrow)
        elif table is not None:
            schema = table.schema()
        else:
            raise LakeError(f"the lake {store} holds no days yet; run driftune run first")
        said: list[Transaction] = []
        if table is None:
            said = saying(erasures)
            table = DeltaTable.create(
                store.url,
                schema,
                mode="ignore",
                partition_by=["day"],
                configuration=store.properties,
                storage_options=store.options,
            )
        _overwrite(table, schema, day, content_hash, parts, said)
    except (DeltaError, OSError) as error:
        raise LakeError(f"the lake {store} takes no commit ({reason(error)})") from None


def _overwrite(
    table: "DeltaTable",
    schema: "Schema",
    day: str,
    content_hash: str,
    parts: list[_Part],
    said: "list[Transaction]",
) -> None:
    """Commit the day's files, and what is ``said`` with them; new columns join the table."""
    from deltalake import CommitProperties, Schema, Transaction
    from deltalake.transaction import AddAction, RemoveAction

    known = {field.name for field in table.schema().fields}
    new = [field for field in schema.fields if field.name not in known]
    added: list[AddAction | RemoveAction] = [
        AddAction(
            path=part.name,
            size=part.size,
            partition_values={"day": day},
            modification_time=int(time.time() * 1000),
            data_change=True,
            stats=json.dumps({"numRecords": part.rows}),
        )
        for part in parts
    ]
    table.create_write_transaction(
        added,
        "overwrite",
        Schema([*table.schema().fields, *new]) if new else table.schema(),
        ["day"],
        [("day", "=", day)],
        commit_properties=CommitProperties(
            custom_metadata={"driftune.content": content_hash, "driftune.day": day},
            app_transactions=[
                Transaction(application(date.fromisoformat(day)), short_hash(content_hash)),
                *said,
            ],
        ),
    )
