"""Side tables: read by the readers of the logs, and joined to a day's rows by their keys.

A row of the logs gets the columns of the one row that has its key, or nulls. They are called
``TABLE.COLUMN``, and expressions see each table as a struct of that name. What is copied of a table
lies in the day's own folder and is gone with it.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from driftune.config import Config
from driftune.config.quality import MISSING_KEYS
from driftune.config.tables import SideTable
from driftune.errors import SourceError
from driftune.lake import roles, values
from driftune.lake.duck import Connection, identifier, one_row
from driftune.lake.evolution import Change
from driftune.lake.loading import Loaded
from driftune.lake.readers.csv_reader import read_csv
from driftune.lake.readers.json_reader import read_jsonl
from driftune.lake.readers.parquet_reader import read_parquet
from driftune.lake.readers.part import Part
from driftune.lake.source import Fetched, FetchedTable
from driftune.lake.together import Uses, put_together

KEY = "_driftune_key"


@dataclass(frozen=True)
class ReadTable:
    """A side table of so many ``rows``, of which ``relation`` holds those that the day needs.

    ``said``: what messages call its files; ``match``: SQL of the key of a row of ``raw``; ``types``
    of the columns that rows get; ``whole``: all of its rows as a query. ``is_text``: no file says
    types.
    """

    name: str
    said: str
    rows: int
    relation: str
    whole: str
    match: str
    types: dict[str, str]
    is_text: bool


def read_tables(
    con: Connection, config: Config, fetched: Fetched, loaded: Loaded, folder: Path
) -> list[ReadTable]:
    """Read the day's side tables, and keep of each the rows whose keys ``raw`` has.

    ``folder`` takes what must be unpacked or parsed.

    Raises:
        SourceError: for a table without a column that params.yaml names, without rows, with a key
            twice, or with lines that are no rows; and for a column of the logs that is called
            like a table.
    """
    tables = []
    for number, given in enumerate(fetched.tables):
        _check_names(config, given.name, fetched, loaded)
        tables.append(_read(con, config, given, loaded, f"side_table_{number}", folder))
    return tables


def join(con: Connection, view: str, tables: Sequence[ReadTable]) -> str:
    """Create a view of the rows of ``view`` with the columns of their side tables; its name."""
    joined = f"{view}_joined"
    columns = "".join(f", {identifier(name)}" for table in tables for name in table.types)
    joins = " ".join(
        f"LEFT JOIN {table.relation} ON {table.match} = {table.relation}.{KEY}" for table in tables
    )
    found = "".join(f", {table.relation}.{KEY} IS NOT NULL AS {_found(table)}" for table in tables)
    con.execute(f"CREATE VIEW {joined} AS SELECT raw.*{columns}{found} FROM {view} AS raw {joins}")
    return joined


def _found(table: ReadTable) -> str:
    """The column that says whether a row's key is in the table."""
    return identifier(f"_driftune_in_{table.name}")


def structs(tables: Iterable[ReadTable]) -> str:
    """Select list of the side tables as structs, as expressions name their columns; null where a
    row's key is missing."""
    found = []
    for table in tables:
        fields = ", ".join(
            f"{identifier(name.removeprefix(f'{table.name}.'))} := {identifier(name)}"
            for name in table.types
        )
        row = f"CASE WHEN {_found(table)} THEN struct_pack({fields}) END"
        found.append(f", {row} AS {identifier(table.name)}")
    return "".join(found)


@dataclass(frozen=True)
class Matched:
    """How many of the day's ``rows`` with a key have one that a side table, of ``size`` rows,
    lacks."""

    name: str
    said: str
    size: int
    rows: int
    missing: int
    key: str

    @property
    def share(self) -> float:
        """The share of such rows."""
        return self.missing / max(1, self.rows)

    @property
    def lacking(self) -> str:
        """That rows have keys that it lacks, with their number and share."""
        return (
            f"lacks the '{self.key}' of {self.missing:,} of {self.rows:,} rows ({self.share:.2%})"
        )

    @property
    def sentence(self) -> str:
        """What is to be said of it."""
        return (
            f"Every row's key is in table {self.name}: {self.said} {self.lacking}; the columns "
            "that they would have from it are null."
        )


def matched(con: Connection, config: Config, tables: Sequence[ReadTable]) -> list[Matched]:
    """Count the rows of ``raw`` whose keys are missing, table by table; an empty key is none."""
    found = []
    for table in tables:
        rows, missing = one_row(
            con,
            f"SELECT count({table.match}), "
            f"count(*) FILTER ({table.match} IS NOT NULL AND {KEY} IS NULL) "
            f"FROM raw LEFT JOIN {table.relation} ON {table.match} = {KEY}",
        )
        key = config.tables[table.name].logs_column
        found.append(Matched(table.name, table.said, table.rows, rows, missing, key))
    return found


def unreadable_values(con: Connection, config: Config, tables: Sequence[ReadTable]) -> list[Change]:
    """What is to be said of values in the columns of side tables that are to be numbers and are
    none, in rows that the rows of ``raw`` join: they are null there."""
    found = []
    numbers = dict.fromkeys(
        role for role in roles.numbers(config).values() if isinstance(role, str)
    )
    for table in tables:
        for name in [name for name in numbers if name in table.types]:
            broken = values.unreadable({name: name}, table.types)
            cells, example = one_row(
                con,
                f"SELECT count(*), left(min({identifier(name)}::VARCHAR), 40) "
                f"FROM {table.relation} SEMI JOIN (SELECT {table.match} AS {KEY} FROM raw) "
                f"USING ({KEY}) WHERE {broken} IS NOT NULL",
            )
            if cells:
                sentence = (
                    f"Every {name} is a number: {cells:,} of the values in {table.said} (table "
                    f"{table.name}) are none, such as '{example}'; they are null."
                )
                found.append(Change.of("table_value_unreadable", sentence, cells))
    return found


def key_changes(found: Iterable[Matched]) -> list[Change]:
    """What the day's record says of tables that lack keys."""
    return [
        Change.of(
            "table_key_missing" if each.share > MISSING_KEYS else "table_key_few",
            each.sentence,
            each.missing,
        )
        for each in found
        if each.missing
    ]


class Whole(NamedTuple):
    """All rows of a side table: its key is ``KEY``, ``types`` are those of its other columns."""

    said: str
    rows: int
    query: str
    types: dict[str, str]
    is_text: bool


def read_whole(
    con: Connection, config: Config, given: FetchedTable, relation: str, folder: Path
) -> Whole:
    """Read all rows of a side table; ``relation``: what temporary names begin with.

    Raises:
        SourceError: as ``read_tables`` does.
    """
    table = config.tables[given.name]
    parts = _parts(con, config, given, relation, folder)
    _check_columns(table, given.name, parts)
    together = put_together(con, _uses(config, given.name), parts)
    key = values.identity(table.key, together.types)
    columns = ", ".join(
        f"{identifier(name)} AS {identifier(f'{given.name}.{name}')}" for name in table.columns
    )
    selected = " UNION ALL ".join(
        f"SELECT {_named(sql, [table.key, *table.columns])} FROM {part.relation}"
        for part, sql in zip(parts, together.columns, strict=True)
        if part.rows
    )
    keyed = f"(SELECT {key} AS {KEY}, {columns} FROM ({selected}))"
    said = parts[0].file.uri + (f" with {len(parts) - 1} more" if len(parts) > 1 else "")
    _check_keys(con, config, given.name, said, keyed)
    types = {f"{given.name}.{name}": together.types[name] for name in table.columns}
    rows, is_text = sum(part.rows for part in parts), any(part.is_text for part in parts)
    return Whole(said, rows, keyed, types, is_text)


def _read(
    con: Connection,
    config: Config,
    given: FetchedTable,
    loaded: Loaded,
    relation: str,
    folder: Path,
) -> ReadTable:
    table, whole = config.tables[given.name], read_whole(con, config, given, relation, folder)
    match = f"({values.identity(table.logs_column, loaded.types)})"
    con.execute(
        f"CREATE TABLE {relation} AS FROM {whole.query} "
        f"SEMI JOIN (SELECT DISTINCT {match} AS {KEY} FROM raw) USING ({KEY})"
    )
    said, rows, query, types, is_text = whole
    return ReadTable(given.name, said, rows, relation, query, match, types, is_text)


def _parts(
    con: Connection, config: Config, given: FetchedTable, relation: str, folder: Path
) -> list[Part]:
    """Read a table's files; a line that is no row refuses it: rows of the logs would lack it."""
    table = config.tables[given.name]
    reading = config.model_copy(
        update={
            "quality": config.quality.model_copy(update={"max_rejected_share": 0.0}),
            "source": config.source.model_copy(update={"csv": table.csv, "explode": None}),
        }
    )
    uses = _uses(config, given.name)
    looked_into = roles.mentioned(config)
    parts = []
    for number, file in enumerate(given.files):
        made = f"{relation}_{number}"
        try:
            if file.format == "parquet":
                parts.append(read_parquet(con, file, made))
            elif file.format == "csv":
                parts.append(read_csv(con, reading, file, made, folder, uses.named))
            else:
                parts.append(read_jsonl(con, reading, file, made, folder, uses.ids, looked_into))
        except SourceError as error:
            own = str(error).replace("set source.", f"set tables.{given.name}.")
            raise SourceError(f"{own}; the lake is unchanged") from None
    if not any(part.rows for part in parts):
        raise SourceError(
            f"{given.files[0].uri}: the table tables.{given.name} holds no rows; deliver it again; "
            "the lake is unchanged"
        )
    return parts


def _uses(config: Config, name: str) -> Uses:
    """What is made of a side table's columns."""
    table = config.tables[name]
    named = dict.fromkeys(table.columns, f"tables.{name}.columns") | {
        table.key: f"tables.{name}.key"
    }
    ids = roles.id_columns(config)
    own = [column for column in table.columns if f"{name}.{column}" in ids]
    return Uses(named, {table.key, *own}, {column.lower() for column in named})


def _named(sql: dict[str, str], columns: Collection[str]) -> str:
    return ", ".join(f"{sql[name]} AS {identifier(name)}" for name in dict.fromkeys(columns))


def _check_names(config: Config, name: str, fetched: Fetched, loaded: Loaded) -> None:
    """See that no column of the logs is called like a table or one of its columns."""
    taken = {name.lower(), *(f"{name}.{each}".lower() for each in config.tables[name].columns)}
    for column in loaded.types:
        if column.lower() in taken:
            raise SourceError(
                f"{fetched.files[0].uri}: has the column '{column}', as tables.{name} in "
                "params.yaml is called; call the table otherwise"
            )


def _check_columns(table: SideTable, name: str, parts: Sequence[Part]) -> None:
    keys = dict.fromkeys(table.columns, "columns") | {table.key: "key"}
    for part in [part for part in parts if part.rows]:
        for column, key in reversed(keys.items()):
            if column not in part.columns:
                given = " ".join(", ".join(part.columns).split())
                raise SourceError(
                    f"{part.file.uri}: column '{column}' (tables.{name}.{key} in params.yaml) is "
                    f"missing; the file has {given}; the lake is unchanged"
                )


def _check_keys(con: Connection, config: Config, name: str, said: str, keyed: str) -> None:
    """See that no key is there twice; rows without a key are nobody's.

    A key of users is not shown: it may be that of one who was erased.
    """
    table = config.tables[name]
    found = con.execute(
        f"SELECT {KEY}, count(*) AS n FROM {keyed} WHERE {KEY} IS NOT NULL "
        f"GROUP BY {KEY} HAVING n > 1 ORDER BY {KEY} LIMIT 1"
    ).fetchall()
    for key, rows in found:
        of_users = config.columns.user == table.logs_column
        shown = f"one {table.key}" if of_users else f"{table.key} = '{key[:60]}'"
        raise SourceError(
            f"{said}: {shown} is there {rows:,} times, and tables.{name} needs a row a key; "
            "deliver the table again; the lake is unchanged"
        )
