"""Stage: the day's files as one DuckDB table under canonical names, broken rows marked."""

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import duckdb

from driftune.config import ColumnRole, Config
from driftune.config.workspace import Workspace
from driftune.errors import LakeError, SourceError
from driftune.intake.columns import evolve, without_missing
from driftune.intake.duplicates import find_copies
from driftune.intake.expressions import over_typed_columns
from driftune.intake.times import Times, look_at_times, misread_times
from driftune.io import JsonObject
from driftune.lake import roles, values
from driftune.lake.clock import clock_of
from driftune.lake.duck import Connection, connect, first_line, identifier, is_out_of_room, literal
from driftune.lake.evolution import Evolution
from driftune.lake.kept import Kept
from driftune.lake.loading import damaged_file, delivered_types, load
from driftune.lake.source import Fetched
from driftune.lake.suppressed import leave_out, read_suppressed
from driftune.quality.released import read_release
from driftune.quality.rules import RowRule, row_rules
from driftune.quality.staged import Staged
from driftune.quality.tally import tally

_ZONED = re.compile(r"timestamptz|time\s*zone|timezone|now|current|today", re.IGNORECASE)


def content_hash(config: Config, fetched: Fetched, known_domains: list[str] | None) -> str:
    """Hash of everything that decides what the rows are: bytes, roles, domains.

    Which of them the lake holds, its rules decide (see ``quality.record``), and who was erased.
    """
    # Days taken in before there were these keys keep their hash where they are not used.
    time = config.columns.time
    later = {name for name in ("sql", "format") if getattr(time, name) is None}
    unused: dict[str, bool | set[str]] = {"request": config.columns.request is None, "time": later}
    unused = {name: fields for name, fields in unused.items() if fields}
    meaning: dict[str, bool | str | list[str] | list[list[str]] | JsonObject | None] = {
        "files": fetched.content,
        "columns": config.columns.model_dump(mode="json", exclude=unused),
        "features": [config.features.categorical, config.features.numerical],
        "timezone": config.timezone,
        "unknown": config.domains.unknown,
        "known": known_domains,
    }
    if not config.source.keep_columns:
        meaning["keep_columns"] = False
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
    _check_columns(config, fetched)
    erased = read_suppressed(config)
    quarantine_unknown = known_domains is not None and config.domains.unknown == "quarantine"
    released = read_release(Workspace(config), fetched.day).of(fetched.content)
    allowed = known_domains if quarantine_unknown else None
    rules = row_rules(config, fetched.day, allowed, released.reasons)
    database.parent.mkdir(parents=True, exist_ok=True)
    # The session's zone is what times without an offset are read in.
    with connect(database, timezone=config.timezone, memory=config.resources.memory) as con:
        try:
            con.execute("CREATE TABLE known_domains (domain VARCHAR)")
            if known_domains:
                insert = "INSERT INTO known_domains SELECT unnest(?::VARCHAR[])"
                con.execute(insert, [known_domains])
            rows = load(con, fetched)
            evolution, times = _parse(con, config, fetched, known_domains, rows)
            leave_out(con, erased)
            con.execute(_marked_sql(rules))
            tally(con)
            changes = (*evolution.changes, *times.changes, *misread_times(con, times))
        except duckdb.Error as error:
            fetched.check_unchanged()
            raise _not_staged(con, fetched, database, error) from None
    fetched.check_unchanged()
    return Staged(
        fetched.day,
        database,
        tuple(rules),
        content_hash(config, fetched, known_domains),
        rows,
        fetched,
        replace(evolution, changes=changes),
        released,
        erased,
    )


def _parse(
    con: Connection, config: Config, fetched: Fetched, known_domains: list[str] | None, rows: int
) -> tuple[Evolution, Times]:
    """Create ``copies`` and ``parsed`` from ``raw``; returns how its columns changed, and its
    times."""
    types = delivered_types(con)
    find_copies(con, types, rows)
    evolution = evolve(con, config, fetched, types, rows)
    evaluated, source = over_typed_columns(con, without_missing(config, fetched), fetched)
    if source == "raw":
        source, types = evolution.relation(), {**types, **evolution.casts}
    times = look_at_times(con, evaluated, clock_of(config, fetched.day), source)
    # A view is read by sessions of another zone, too.
    kind = "VIEW" if _is_zoneless(config, fetched, types, times) else "TABLE"
    parsed = _parsed_sql(evaluated, known_domains, times, types, evolution.kept)
    con.execute(f"CREATE {kind} parsed AS {parsed}")
    return evolution, times


def _not_staged(
    con: Connection, fetched: Fetched, database: Path, error: duckdb.Error
) -> LakeError | SourceError:
    """Why the day could not be staged: no room, a damaged file, or a role that fails."""
    if is_out_of_room(error):
        return LakeError(
            f"{fetched.day}: cannot be staged in {database.parent} ({first_line(error)}); "
            "the lake is unchanged; make room or raise resources.memory"
        )
    return damaged_file(con, fetched) or SourceError(
        f"{fetched.files[0].uri}: a column role cannot be computed "
        f"({first_line(error)}); mend columns in params.yaml"
    )


def _check_columns(config: Config, fetched: Fetched) -> None:
    optional = {f"columns.{name}" for name in roles.OPTIONAL}
    for file in fetched.files:
        for column, key in roles.needed_columns(config).items():
            if column not in file.columns and key not in optional:
                raise SourceError(
                    f"{file.uri}: column '{column}' ({key} in params.yaml) is missing; "
                    f"the file has {', '.join(file.columns)}"
                )


def _is_zoneless(config: Config, fetched: Fetched, types: dict[str, str], times: Times) -> bool:
    """Whether the parsed rows are the same in a session of any time zone."""
    if any(file.format != "parquet" for file in fetched.files):
        return False
    texts = " ".join(roles.expressions(config).values())
    if _ZONED.search(texts) or (texts and any(map(roles.has_offset, types.values()))):
        return False
    return not times.is_parsed


def _parsed_sql(
    config: Config,
    known_domains: list[str] | None,
    times: Times,
    types: dict[str, str],
    kept: tuple[Kept, ...],
) -> str:
    fields = {**_fields(config, known_domains, types), "event_time": times.event_time}
    fields |= {column.name: column.value for column in kept}
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
    numbers: dict[str, ColumnRole] = {
        name: role
        for name in roles.OPTIONAL_NUMBERS
        if (role := getattr(columns, name)) is not None
    }
    numbers |= {f"x_{name}": name for name in config.features.numerical}
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
        "convert_label": values.label(columns.convert, types),
        "click_value": values.label_value(columns.click, types),
        "convert_value": values.label_value(columns.convert, types),
        "category": f"{roles.expression(columns.category)}::VARCHAR",
        "request_id": "NULL::VARCHAR"
        if columns.request is None
        else values.identity(columns.request, types),
        "unreadable_numbers": values.unreadable(numbers, types),
    }
    for name in roles.OPTIONAL_NUMBERS:
        role = numbers.get(name)
        text = "NULL" if role is None else roles.expression(role)
        fields[name] = f"TRY_CAST({text} AS DOUBLE)"
    for name in config.features.categorical:
        fields[f"f_{name}"] = f"{identifier(name)}::VARCHAR"
    for name in config.features.numerical:
        fields[f"x_{name}"] = f"TRY_CAST({identifier(name)} AS DOUBLE)"
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
