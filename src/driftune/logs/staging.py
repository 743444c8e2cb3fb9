"""Stage: the day's files as one DuckDB table under canonical names, broken rows marked."""

import hashlib
import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from driftune.config import Config
from driftune.errors import SourceError
from driftune.logs import roles
from driftune.logs.duck import connect, first_line, identifier, literal
from driftune.logs.expressions import over_typed_columns
from driftune.logs.source import Fetched
from driftune.quality.release import read_release
from driftune.quality.rules import RowRule, row_rules
from driftune.workspace import Workspace

OTHER_DOMAIN = "other"


@dataclass(frozen=True)
class Staged:
    """A staged day: table ``staged`` (canonical) beside ``raw`` (as delivered) in ``database``."""

    day: date
    database: Path
    rules: tuple[RowRule, ...]
    content_hash: str
    rows: int


def content_hash(config: Config, fetched: Fetched, known_domains: list[str] | None) -> str:
    """Hash of everything that decides what the lake would hold: bytes, roles, domains, rules."""
    # Days taken in before there was this role keep their hash where it is not used.
    unused = {"request"} if config.columns.request is None else None
    meaning = {
        "files": fetched.content,
        "columns": config.columns.model_dump(mode="json", exclude=unused),
        "features": [config.features.categorical, config.features.numerical],
        "timezone": config.timezone,
        "unknown": config.domains.unknown,
        "known": known_domains,
    }
    if released := read_release(Workspace(config), fetched.day).meaning:
        meaning["released"] = released
    return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()


def stage(
    config: Config, fetched: Fetched, known_domains: list[str] | None, database: Path
) -> Staged:
    """Read the files into ``database`` and mark every row with the rules that it breaks.

    ``known_domains`` is None for reference days, where every named domain counts as known.

    Raises:
        SourceError: for a missing column or a file that breaks off while it is read.
    """
    _check_columns(config, fetched)
    quarantine_unknown = known_domains is not None and config.domains.unknown == "quarantine"
    rules = row_rules(config, fetched.day, known_domains if quarantine_unknown else None)
    database.parent.mkdir(parents=True, exist_ok=True)
    # The session's zone is what times without an offset are read in.
    with connect(database, timezone=config.timezone) as con:
        con.execute("CREATE TABLE known_domains (domain VARCHAR)")
        if known_domains:
            con.execute("INSERT INTO known_domains SELECT unnest(?::VARCHAR[])", [known_domains])
        _load(con, fetched)
        try:
            evaluated, source = over_typed_columns(con, config, fetched)
            con.execute(_staged_sql(evaluated, fetched.day, known_domains, source))
            con.execute(_marked_sql(rules))
        except duckdb.Error as error:
            raise SourceError(
                f"{fetched.files[0].uri}: a column role cannot be computed "
                f"({first_line(error)}); mend columns in params.yaml"
            ) from None
        row = con.execute("SELECT count(*) FROM staged").fetchone()
    return Staged(
        fetched.day,
        database,
        tuple(rules),
        content_hash(config, fetched, known_domains),
        row[0] if row else 0,
    )


def _check_columns(config: Config, fetched: Fetched) -> None:
    for file in fetched.files:
        for column, key in roles.needed_columns(config).items():
            if column not in file.columns:
                raise SourceError(
                    f"{file.uri}: column '{column}' ({key} in params.yaml) is missing; "
                    f"the file has {', '.join(file.columns)}"
                )


def _load(con: Any, fetched: Fetched) -> None:
    con.execute(_raw_sql(fetched))
    for file in fetched.files:
        loaded = con.execute("SELECT count(*) FROM raw").fetchone()[0]
        try:
            # Every name of our own is prefixed: a delivered column may be called anything else.
            con.execute(
                "INSERT INTO raw BY NAME "
                f"SELECT {loaded} + row_number() OVER () AS _driftune_id, "
                f"row_number() OVER () AS _driftune_row, "
                f"{literal(file.uri)} AS _driftune_file, "
                "hash(_driftune_delivered) AS _driftune_fingerprint, * "
                f"FROM {file.scan()} AS _driftune_delivered"
            )
        except duckdb.Error as error:
            raise SourceError(
                f"{file.uri}: breaks off or is damaged ({first_line(error)}); deliver it again"
            ) from None
    row = con.execute("SELECT count(*) FROM raw").fetchone()
    if not row or row[0] == 0:
        raise SourceError(f"{fetched.files[0].uri}: the file holds no rows; deliver it again")


def _raw_sql(fetched: Fetched) -> str:
    """The table of all files' columns, each of the type that holds what every file delivers."""
    kinds = dict.fromkeys((file.columns, file.types) for file in fetched.files)
    empty = [
        ", ".join(
            f"NULL::{kind} AS {identifier(name)}" for name, kind in zip(columns, types, strict=True)
        )
        for columns, types in kinds
    ]
    own = "NULL::BIGINT AS _driftune_id, NULL::BIGINT AS _driftune_row, "
    own += "NULL::VARCHAR AS _driftune_file, "
    own += "NULL::UBIGINT AS _driftune_fingerprint"
    union = " UNION ALL BY NAME ".join(f"SELECT {own}, {columns}" for columns in empty)
    return f"CREATE TABLE raw AS FROM ({union}) LIMIT 0"


def _label(column: str) -> str:
    return (
        f"CASE WHEN TRY_CAST({column} AS DOUBLE) IN (0, 1) "
        f"THEN (TRY_CAST({column} AS DOUBLE))::TINYINT::VARCHAR "
        f"WHEN lower(trim({column}::VARCHAR)) = 'true' THEN '1' "
        f"WHEN lower(trim({column}::VARCHAR)) = 'false' THEN '0' "
        f"ELSE coalesce({column}::VARCHAR, 'null') END"
    )


def _staged_sql(config: Config, day: date, known_domains: list[str] | None, source: str) -> str:
    columns = config.columns
    numbers = {
        name: roles.expression(role)
        for name in roles.OPTIONAL_NUMBERS
        if (role := getattr(columns, name)) is not None
    }
    numbers |= {f"x_{name}": identifier(name) for name in config.features.numerical}
    domain = roles.domain_expression(config)
    if known_domains is not None and config.domains.unknown == "other":
        known = "SELECT domain FROM known_domains"
        domain = f"CASE WHEN ({domain}) IN ({known}) THEN ({domain}) WHEN ({domain}) IS NOT NULL "
        domain += f"THEN {literal(OTHER_DOMAIN)} END"
    time = roles.time_expression(config)
    fields = {
        "row_id": "raw._driftune_id",
        "file": "_driftune_file",
        "file_row": "_driftune_row",
        "fingerprint": "_driftune_fingerprint",
        "user_id": f"nullif({roles.expression(columns.user)}::VARCHAR, '')",
        "item_id": f"nullif({roles.expression(columns.item)}::VARCHAR, '')",
        "event_time": f"CASE WHEN isfinite({time}) THEN {time} END",
        "domain": domain,
        "click_label": _label(roles.expression(columns.click)),
        "convert_label": _label(roles.expression(columns.convert)),
        "category": f"{roles.expression(columns.category)}::VARCHAR",
        "request_id": "NULL::VARCHAR"
        if columns.request is None
        else f"nullif({roles.expression(columns.request)}::VARCHAR, '')",
        "unreadable_numbers": _unreadable(numbers),
    }
    for name in roles.OPTIONAL_NUMBERS:
        text = numbers.get(name)
        fields[name] = f"TRY_CAST({text} AS DOUBLE)" if text else "NULL::DOUBLE"
    for name in config.features.categorical:
        fields[f"f_{name}"] = f"{identifier(name)}::VARCHAR"
    for name in config.features.numerical:
        fields[f"x_{name}"] = f"TRY_CAST({identifier(name)} AS DOUBLE)"
    selected = ", ".join(f"{text} AS {identifier(name)}" for name, text in fields.items())
    start = literal(roles.day_start(config, day).isoformat())
    end = literal(roles.day_end(config, day).isoformat())
    inside = f"event_time >= {start}::TIMESTAMP AND event_time < {end}::TIMESTAMP"
    seconds = f"date_diff('second', {start}::TIMESTAMP, event_time)"
    # A time of another day keeps its own date (in whole days from this day's start) for the report.
    other = f"({literal(day.isoformat())}::DATE + floor({seconds} / 86400)::INTEGER)::VARCHAR"
    return f"""
        CREATE TABLE parsed AS
        SELECT *,
               CASE WHEN {inside} THEN {literal(day.isoformat())} ELSE {other} END AS event_day,
               CASE WHEN {inside} THEN least(23, {seconds} // 3600)::TINYINT END AS hour,
               CASE WHEN click_label IN ('0', '1') THEN click_label::TINYINT END AS click_value,
               CASE WHEN convert_label IN ('0', '1') THEN convert_label::TINYINT END
                   AS convert_value
        FROM (SELECT {selected} FROM {source})
    """


def _unreadable(numbers: dict[str, str]) -> str:
    if not numbers:
        return "NULL::VARCHAR"
    cases = ", ".join(
        f"CASE WHEN {text} IS NOT NULL AND trim({text}::VARCHAR) <> '' "
        f"AND NOT coalesce(isfinite(TRY_CAST({text} AS DOUBLE)), false) "
        f"THEN {literal(name.removeprefix('x_'))} END"
        for name, text in numbers.items()
    )
    return f"nullif(concat_ws(', ', {cases}), '')"


def _marked_sql(rules: list[RowRule]) -> str:
    reasons = ", ".join(f"CASE WHEN {rule.broken} THEN '{rule.name}' END" for rule in rules)
    # Only fingerprints that occur twice are ranked: uniqueness dominates the cost of a checkpoint.
    return f"""
        CREATE TABLE staged AS
        WITH twice AS (
            SELECT fingerprint FROM parsed GROUP BY fingerprint HAVING count(*) > 1
        ), copies AS (
            SELECT row_id, row_number() OVER (PARTITION BY fingerprint ORDER BY row_id) AS n
            FROM parsed SEMI JOIN twice USING (fingerprint)
        ), numbered AS (
            SELECT parsed.*, coalesce(copies.n, 1) AS copy_number
            FROM parsed LEFT JOIN copies USING (row_id)
        ), judged AS (
            SELECT *, concat_ws(', ', {reasons}) AS reasons FROM numbered
        )
        SELECT *, (reasons <> '')::TINYINT AS rejected FROM judged;
        DROP TABLE parsed;
    """
