"""DuckDB connections, and quoting for the few places where SQL text is assembled."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

Connection = duckdb.DuckDBPyConnection
# Columns of Parquet files that have more different values in a row group are written as they are:
# DuckDB's own limit lets it make many a dictionary in vain, which takes a fourth of the time.
DICTIONARY = 10_000


# What a locked connection may still be told: its zone, and how much of the machine it uses.
_CHANGEABLE = "['TimeZone', 'memory_limit', 'threads']"
# The extensions that are needed (json, parquet, icu) are built in.
_LOCKS = """
    SET enable_progress_bar = false;
    SET autoinstall_known_extensions = false;
    SET autoload_known_extensions = false;
    SET allow_community_extensions = false;
    SET allow_persistent_secrets = false;
    SET enable_external_access = false;
    SET lock_configuration = true;
"""


@contextmanager
def connect(
    path: Path | None = None,
    *,
    reach: Iterable[Path] = (),
    timezone: str = "UTC",
    memory: str | None = None,
    spill: Path | None = None,
) -> Iterator[Connection]:
    """Open a DuckDB database (in memory without ``path``) in a zone and close it at the end.

    It is locked: no statement reads or writes a file that is not in ``reach`` (files, and folders
    with all that is in them), beside the database itself, or installs an extension.

    With ``memory`` (such as ``2GB``) what does not fit goes to ``spill``, by default a file beside
    the database. In memory without ``spill`` nothing goes to disk, and what does not fit fails.

    A file that is open in this process is joined, which costs next to nothing, and its reach is
    that of who opened it; to open one takes longer than most queries on a small day. The zone is
    the connection's own, ``memory`` of all together.
    """
    con = open_locked(path, reach, spill)
    try:
        limit = "" if memory is None else f"; SET memory_limit = {literal(memory)}"
        con.execute(f"SET TimeZone = {literal(timezone)}{limit}")
        yield con
    finally:
        con.close()


def open_locked(
    path: Path | None = None, reach: Iterable[Path] = (), spill: Path | None = None
) -> Connection:
    """A connection as ``connect`` yields it, which the caller must close."""
    con = duckdb.connect(str(path) if path else ":memory:")
    try:
        if not one_row(con, "SELECT current_setting('lock_configuration')")[0]:
            # A reader is asked for a path with its glob signs quoted, and a writer for the path.
            named = [str(each) for each in reach]
            named += [plain_name(Path(each)) for each in named]
            allowed = ", ".join(literal(name) for name in dict.fromkeys(named))
            # DuckDB's own choice is the working directory, where nobody would look for users' ids.
            beside = path is not None and spill is None
            place = "" if beside else f"SET temp_directory = {literal(str(spill or ''))};"
            con.execute(
                f"{place} SET allowed_directories = [{allowed}]; SET allowed_paths = [{allowed}]; "
                f"SET allowed_configs = {_CHANGEABLE}; {_LOCKS}"
            )
    except BaseException:
        con.close()
        raise
    return con


def parquet(*paths: Path, options: str = "") -> str:
    """The table function that reads Parquet files, and nothing but what is in them.

    By itself DuckDB takes every ``key=value`` folder of a path for a column, and signs such as
    ``*`` for more files. ``options``: further arguments.
    """
    listed = ", ".join(literal(plain_name(path)) for path in paths)
    more = f", {options}" if options else ""
    return f"read_parquet([{listed}], hive_partitioning=false{more})"


def plain_name(path: Path) -> str:
    """A path as DuckDB's readers take it, whose glob signs mean themselves."""
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in str(path))


def one_row(con: Connection, query: str, values: Sequence[str | list[str]] = ()) -> tuple[Any, ...]:
    """The only row of a query that always has one, such as an aggregate.

    The types of its values are those that the query selects.
    """
    (row,) = con.execute(query, list(values)).fetchall()
    return row


def identifier(name: str) -> str:
    """Quote a column or table name."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a string for the statements that DuckDB does not let values be bound in."""
    return "'" + text.replace("'", "''") + "'"


def is_out_of_room(error: Exception) -> bool:
    """Whether a database error says that disk or memory is full."""
    text = str(error).lower()
    full = "no space left" in text or "disk full" in text or "failed to write" in text
    return isinstance(error, duckdb.OutOfMemoryException) or full


def first_line(error: Exception) -> str:
    """Return the first line of a database error, without its trailing detail."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
