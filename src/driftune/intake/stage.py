"""Stage: the day's files as one DuckDB table under canonical names, broken rows marked."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb

from driftune.config import Config
from driftune.config.explode import LIST_ID
from driftune.config.workspace import Workspace
from driftune.errors import LakeError, SourceError
from driftune.intake.columns import evolve, kept_changes
from driftune.intake.duplicates import find_copies
from driftune.intake.expressions import Form, evaluate, told
from driftune.intake.lacking import failed_role, missing_column
from driftune.intake.rows import check_rows, file_changes, id_changes
from driftune.intake.times import Times, look_at_times, misread_times
from driftune.io import JsonObject
from driftune.lake import derived, roles, values
from driftune.lake.clock import clock_of
from driftune.lake.duck import (
    Connection,
    connect,
    first_line,
    identifier,
    is_out_of_room,
    literal,
    one_row,
    parquet,
)
from driftune.lake.evolution import Change, Evolution
from driftune.lake.lists.explode import explode, no_click
from driftune.lake.loading import Loaded, damaged_file, load
from driftune.lake.side_tables import (
    ReadTable,
    join,
    key_changes,
    matched,
    read_tables,
    unreadable_values,
)
from driftune.lake.source import Fetched
from driftune.lake.suppressed import leave_out, read_suppressed
from driftune.lake.types import has_offset
from driftune.quality.released import read_release
from driftune.quality.rules import RowRule, row_rules
from driftune.quality.staged import Staged, within_reach
from driftune.quality.tally import tally

# Rows of a day that is small: to read its files and parse their values anew costs each later query
# more than to keep them.
_SMALL_ROWS = 100_000

_ZONED = re.compile(r"timestamptz|time\s*zone|timezone|now|current|today", re.IGNORECASE)


def content_hash(config: Config, fetched: Fetched, known_domains: list[str] | None) -> str:
    """Hash of everything that decides what the rows are: bytes, roles, domains.

    Which of them the lake holds, its rules decide (see ``quality.record``), and who was erased.
    """
    # Days taken in before there were these keys keep their hash where they are not used.
    time = config.columns.time
    later = {name for name in ("sql", "format") if getattr(time, name) is None}
    unused: dict[str, bool | set[str]] = {"time": later} if later else {}
    for name in ("request", "convert", "category"):
        if getattr(config.columns, name) is None:
            unused[name] = True
    meaning: dict[str, bool | str | list[str] | list[list[str]] | JsonObject | None] = {
        "files": fetched.content,
        "columns": config.columns.model_dump(mode="json", exclude=unused),
        "features": [[*config.features.categorical], [*config.features.numerical]],
        "timezone": config.timezone,
        "unknown": config.domains.unknown,
        "known": known_domains,
    }
    if config.source.explode is not None:
        meaning["explode"] = config.source.explode.model_dump(mode="json", exclude_defaults=True)
    if not config.source.keep_columns:
        meaning["keep_columns"] = False
    if written := config.source.csv.model_dump(mode="json", exclude_defaults=True):
        meaning["csv"] = written
    features = config.features.roles()
    if any(role != name[2:] for name, role in features.items()):
        written = config.features.model_dump(mode="json", include={"categorical", "numerical"})
        meaning["feature_roles"] = written
    if config.tables:
        used = {"key", "matches", "columns", "csv"}
        meaning["tables"] = {
            name: table.model_dump(mode="json", include=used, exclude_defaults=True)
            for name, table in config.tables.items()
        }
    if config.negatives is not None:
        negatives = config.negatives.model_dump(mode="json", by_alias=True)
        meaning["negatives"] = {**negatives, "seed": config.seed}
    return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()


def stage(
    config: Config, fetched: Fetched, known_domains: list[str] | None, database: Path
) -> Staged:
    """Read the files into ``database`` and mark every row with the rules that it breaks.

    ``known_domains`` is None for reference days, where every named domain counts as known.

    Raises:
        SourceError: for a missing column or a file that breaks off while it is read.
        LakeError: when disk or memory is full.
    """
    erased = read_suppressed(config)
    quarantine_unknown = known_domains is not None and config.domains.unknown == "quarantine"
    released = read_release(Workspace(config), fetched.day).of(fetched.delivery)
    allowed = known_domains if quarantine_unknown else None
    rules = row_rules(config, fetched.day, allowed, released.reasons)
    database.parent.mkdir(parents=True, exist_ok=True)
    # The session's zone is what times without an offset are read in.
    reach = within_reach(config, fetched, database)
    memory, zone = config.resources.memory, config.timezone
    with connect(database, reach=reach, timezone=zone, memory=memory) as con:
        try:
            con.execute("CREATE TABLE known_domains (domain VARCHAR)")
            if known_domains:
                insert = "INSERT INTO known_domains SELECT unnest(?::VARCHAR[])"
                con.execute(insert, [known_domains])
            loaded = load(con, config, fetched, database.parent / "plain")
            _check_columns(config, loaded)
            listed: list[Change] = []
            if config.source.explode:
                loaded, listed = explode(con, config, f"{fetched.day:%Y%m%d}", loaded)
            tables = read_tables(con, config, fetched, loaded, database.parent / "side_tables")
            parsed = database.with_name("parsed.parquet")
            evolution, times, mixed = _parse(
                con, config, fetched.day, loaded, tables, known_domains, parsed
            )
            leave_out(con, config, erased)
            found = matched(con, config, tables)
            con.execute(_marked_sql(rules))
            tally(con)
            changes = [
                *file_changes(con, fetched, loaded),
                *listed,
                *(no_click(con) if config.source.explode else []),
                *evolution.changes,
                *(told(con, form) for form in mixed),
                *kept_changes(con, loaded, evolution.kept),
                *id_changes(con, config, loaded),
                *key_changes(found),
                *unreadable_values(con, config, tables),
                *times.changes,
                *misread_times(con, times),
            ]
        except duckdb.Error as error:
            fetched.check_unchanged()
            raise _not_staged(con, config, fetched, database, error) from None
    fetched.check_unchanged()
    return Staged(
        fetched.day,
        database,
        tuple(rules),
        content_hash(config, fetched, known_domains),
        loaded.rows + loaded.unreadable,
        fetched,
        replace(evolution, changes=tuple(changes)),
        released,
        erased,
        reach,
        tuple(found),
    )


def _parse(
    con: Connection,
    config: Config,
    day: date,
    loaded: Loaded,
    tables: Sequence[ReadTable],
    known_domains: list[str] | None,
    file: Path,
) -> tuple[Evolution, Times, list[Form]]:
    """Create ``copies`` and ``parsed`` from ``raw``; returns how its columns changed, its times,
    and its columns of mixed forms.

    Where ``parsed`` rests on more than values it lies in ``file``, and of a small day in a table.
    """
    # Two deliveries of one list are copies, whatever number each has.
    find_copies(con, [name for name in loaded.types if name != LIST_ID], loaded.rows)
    evolution = evolve(con, config, day, loaded)
    given = roles.without_missing(config, loaded.types)
    evaluated, source, mixed = evaluate(con, config, loaded, evolution, tables)
    types = {**loaded.types, **evolution.casts}
    for table in tables:
        types |= table.types
    read = None
    if _is_derived(given, loaded, evolution):
        view = join(con, "raw_derived", tables) if tables else "raw_derived"
        read = evolution.relation(view)
    times = look_at_times(con, evaluated, clock_of(config, day), source, read)
    fields = {
        **_fields(evaluated, known_domains, types),
        "event_time": times.event_time,
        "element": "raw._driftune_element" if config.source.explode else "NULL::BIGINT",
    }
    if read is not None:
        fields |= derived.fields(given)
    fields |= {column.name: column.value for column in evolution.kept}
    parsed = _parsed_sql(times, fields)
    if loaded.rows <= _SMALL_ROWS:
        _keep_rows(con, parsed)
        parsed = "FROM parsed_rows"
    elif tables or not _is_zoneless(config, loaded, evolution, times):
        # A view would be read by sessions of other zones, and its texts be parsed by each; and
        # tables be joined by each.
        parsed = f"FROM {parquet(_written(con, parsed, file))}"
    con.execute(f"CREATE VIEW parsed AS {parsed}")
    check_rows(con, config, loaded)
    return evolution, times, mixed


def _keep_rows(con: Connection, parsed: str) -> None:
    """Create ``parsed_rows``, in the order of delivery.

    DuckDB writes a column of a table that never had a null as one that cannot have any: the lake's
    files would differ from day to day. A row of nulls that comes and goes leaves them alike.
    """
    con.execute(f"CREATE TABLE parsed_rows AS SELECT * FROM ({parsed}) ORDER BY row_id")
    con.execute(
        "INSERT INTO parsed_rows BY NAME SELECT 0 AS row_id, '' AS file, 0 AS file_row;"
        "DELETE FROM parsed_rows WHERE row_id = 0"
    )


def _written(con: Connection, parsed: str, file: Path) -> Path:
    """Write the parsed rows in the order of their delivery, which a join may leave."""
    to = "(FORMAT parquet, COMPRESSION lz4)"
    con.execute(f"COPY ({parsed}) TO {literal(str(file))} {to}")
    numbered = parquet(file, options="file_row_number=true")
    (sorted_,) = one_row(con, f"SELECT bool_and(row_id = file_row_number + 1) FROM {numbered}")
    if sorted_ is not False:
        return file
    again = file.with_suffix(".sorted.parquet")
    con.execute(f"COPY (FROM {parquet(file)} ORDER BY row_id) TO {literal(str(again))} {to}")
    return again


def _not_staged(
    con: Connection, config: Config, fetched: Fetched, database: Path, error: duckdb.Error
) -> LakeError | SourceError:
    """Why the day could not be staged: no room, a damaged file, or a role that fails."""
    if is_out_of_room(error):
        return LakeError(
            f"{fetched.day}: cannot be staged in {database.parent} ({first_line(error)}); "
            "the lake is unchanged; make room or raise resources.memory"
        )
    return damaged_file(con, fetched) or failed_role(con, config, fetched.files[0].uri, error)


def _check_columns(config: Config, loaded: Loaded) -> None:
    optional = {f"columns.{name}" for name in roles.OPTIONAL}
    for part in [part for part in loaded.parts if part.rows]:
        for column, key in roles.delivered_columns(config).items():
            there = {*part.columns, *part.file.partitions}
            if any(name in there for name in _prefixes(column)) or key in optional:
                continue
            raise missing_column(part, column, key)


def _prefixes(path: str) -> list[str]:
    """A column's name, and where it may be a path into a column, that one's."""
    parts = path.split(".")
    return [".".join(parts[:length]) for length in range(len(parts), 0, -1)]


def _is_derived(config: Config, loaded: Loaded, evolution: Evolution) -> bool:
    """Whether the files' reader has derived all that the roles make of texts as they are."""
    wanted = derived.names(derived.derived(config, loaded.types))
    return loaded.derived == wanted != () and not derived.sources(config) & set(evolution.casts)


def _is_zoneless(config: Config, loaded: Loaded, evolution: Evolution, times: Times) -> bool:
    """Whether the parsed rows are the same in a session of any time zone, and cheap to read."""
    if loaded.has_text and times.derived is None:
        return False
    texts = " ".join(roles.expressions(config).values())
    types = {**loaded.types, **evolution.casts}
    if _ZONED.search(texts) or (texts and any(map(has_offset, types.values()))):
        return False
    if any(column.moved and has_offset(column.kind) for column in evolution.kept):
        return False
    return not times.is_parsed


def _parsed_sql(times: Times, fields: dict[str, str]) -> str:
    selected = ", ".join(f"{text} AS {identifier(name)}" for name, text in fields.items())
    day = literal(times.clock.day.isoformat())
    inside, seconds = times.clock.holds("event_time"), times.clock.seconds("event_time")
    # A time of another day keeps its own date (in whole days from this day's start) for the report.
    other = f"({day}::DATE + floor({seconds} / 86400)::INTEGER)::VARCHAR"
    return f"""
        SELECT *,
               CASE WHEN {inside} THEN {day} ELSE {other} END AS event_day,
               CASE WHEN {inside} THEN ({seconds} // 3600)::TINYINT END AS hour
        FROM (SELECT {selected} FROM {times.relation})
    """


def _fields(
    config: Config, known_domains: list[str] | None, types: dict[str, str]
) -> dict[str, str]:
    """The canonical columns but the time by name, as SQL over the delivered ones (of ``types``)."""
    columns = config.columns
    numbers = roles.numbers(config)
    domain = roles.domain_expression(config)
    if known_domains is not None and config.domains.unknown == "other":
        known = "SELECT domain FROM known_domains"
        domain = f"CASE WHEN ({domain}) IN ({known}) THEN ({domain}) WHEN ({domain}) IS NOT NULL "
        domain += f"THEN {literal(roles.OTHER_DOMAIN)} END"
    fields = {
        "row_id": "raw._driftune_id",
        "file": "_driftune_file",
        "file_row": "_driftune_row",
        "fingerprint": "_driftune_fingerprint",
        "user_id": values.identity(columns.user, types),
        "item_id": values.identity(columns.item, types),
        "domain": domain,
        "click_label": values.label(columns.click, types),
        "convert_label": "NULL::VARCHAR"
        if columns.convert is None
        else values.label(columns.convert, types),
        "click_value": values.label_value(columns.click, types),
        # A log without conversions has none: sums, rates and models take 0 as they are.
        "convert_value": "0::TINYINT"
        if columns.convert is None
        else values.label_value(columns.convert, types),
        "category": "NULL::VARCHAR"
        if columns.category is None
        else f"{roles.expression(columns.category)}::VARCHAR",
        "request_id": "NULL::VARCHAR"
        if columns.request is None
        else values.identity(columns.request, types),
        # What a side table says wrongly is no fault of the row: it is null, and told by the table.
        "unreadable_numbers": values.unreadable(
            {
                name: role
                for name, role in numbers.items()
                if not (isinstance(role, str) and config.is_of_table(role))
            },
            types,
        ),
    }
    for name in roles.OPTIONAL_NUMBERS:
        role = numbers.get(name)
        text = "NULL" if role is None else roles.expression(role)
        fields[name] = values.number(text, types.get(role) if isinstance(role, str) else None)
    for name, role in config.features.categorical.items():
        fields[f"f_{name}"] = f"{roles.expression(role)}::VARCHAR"
    for name, role in config.features.numerical.items():
        kind = types.get(role) if isinstance(role, str) else None
        fields[f"x_{name}"] = values.number(roles.expression(role), kind)
    return fields


def _marked_sql(rules: list[RowRule]) -> str:
    reasons = ", ".join(f"CASE WHEN {rule.broken} THEN '{rule.name}' END" for rule in rules)
    # Few rows break a rule; those alone are written down.
    return f"""
        CREATE VIEW numbered AS
        SELECT parsed.*, coalesce(copies.copy_number, 1) AS copy_number
        FROM parsed LEFT JOIN copies USING (row_id);
        CREATE TABLE broken AS
        SELECT row_id, reasons
        FROM (SELECT row_id, concat_ws(', ', {reasons}) AS reasons FROM numbered)
        WHERE reasons <> '';
        CREATE VIEW staged AS
        SELECT numbered.*, coalesce(broken.reasons, '') AS reasons,
               (broken.row_id IS NOT NULL)::TINYINT AS rejected
        FROM numbered LEFT JOIN broken USING (row_id);
    """
