"""Side tables of a bundle: of each row its key, and what roles and features make of its columns."""

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

from driftune.config import Config
from driftune.errors import ConfigError
from driftune.io import JsonObject
from driftune.lake import roles, values
from driftune.lake.duck import connect, identifier
from driftune.lake.scratch import scratch
from driftune.lake.side_tables import KEY, read_whole
from driftune.lake.source import fetch_table
from driftune.serving.roles import Roles
from driftune.serving.snapshot import written


def table_files(config: Config, last: date, found: Roles) -> dict[str, Mapping[str, Path | bytes]]:
    """The side tables as rows of the day after ``last`` read them, by their parts.

    A table of each day is that of ``last``. ``found``: all roles.

    Raises:
        ConfigError: when an expression names a table.
        SourceError: when a table is not there or cannot be read.
    """
    for name in config.tables:
        if name.lower() in roles.mentioned(config):
            raise ConfigError(
                f"{config.source_file}: tables.{name} is part of an expression, which a bundle "
                "cannot compute; name its column by itself (TABLE.COLUMN)"
            )
    parts: dict[str, Mapping[str, Path | bytes]] = {}
    with scratch(config, "export") as folder:
        for number, (name, table) in enumerate(config.tables.items()):
            day = last if table.as_of == "day" else last + timedelta(days=1)
            given = fetch_table(config, name, day, folder / name)
            reach = [folder, *(file.path for file in given.files)]
            with connect(reach=reach, timezone=config.timezone) as con:
                whole = read_whole(con, config, given, f"table_{number}", folder / "plain")
                columns = [f"{KEY} AS key"]
                for role in (*found.ids.values(), *found.domain):
                    if role.table == name:
                        text = f"{identifier(str(role.table_column))}::VARCHAR"
                        columns.append(f"{text} AS {identifier(role.source)}")
                for role in found.numbers.values():
                    if role.table == name:
                        column = str(role.table_column)
                        value = values.number(identifier(column), whole.types[column])
                        columns.append(f"{value} AS {identifier(role.source)}")
                if found.time.role.table == name:
                    time = found.time.role
                    value = identifier(str(time.table_column))
                    columns.append(f"{value} AS {identifier(time.source)}")
                rows = con.sql(
                    f"SELECT {', '.join(columns)} FROM {whole.query} WHERE {KEY} IS NOT NULL "
                    "ORDER BY key"
                ).to_arrow_table()
            parts[f"table {name}"] = {"rows.arrow": written(rows)}
    return parts


def described_tables(config: Config, types: Mapping[str, str]) -> JsonObject:
    """The column of the logs that holds each table's key, as the manifest has it."""
    found: JsonObject = {}
    for name, table in config.tables.items():
        column = table.logs_column
        found[name] = {"column": column, "kind": types.get(column, "")}
    return found
