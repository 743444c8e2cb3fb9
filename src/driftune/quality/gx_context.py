"""A Great Expectations context in memory, whose DuckDB connections are buffered and closed."""

import logging
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from driftune.lake.duck import open_locked

if TYPE_CHECKING:
    from great_expectations.data_context.data_context.ephemeral_data_context import (
        EphemeralDataContext,
    )
    from great_expectations.datasource.fluent.sql_datasource import SQLDatasource
    from sqlalchemy import Connection
    from sqlalchemy.engine.default import DefaultExecutionContext
    from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor


@contextmanager
def gx_context(database: Path) -> Iterator[tuple["EphemeralDataContext", "SQLDatasource"]]:
    """Yield the context and its source, a DuckDB database that is open in this process.

    Warnings and progress bars of Great Expectations are silent.
    """
    import great_expectations as gx
    from duckdb_engine import ConnectionWrapper
    from great_expectations.data_context.types.base import ProgressBarsConfig
    from sqlalchemy import event
    from sqlalchemy.engine import Engine
    from sqlalchemy.engine.cursor import FullyBufferedCursorFetchStrategy

    opened: list[DBAPIConnection] = []

    def buffer(
        connection: "Connection",
        cursor: "DBAPICursor",
        statement: str,
        parameters: Sequence[str],
        context: "DefaultExecutionContext",
        many: bool,
    ) -> None:
        # GX fetches after it has closed the connection, and DuckDB's results die with it.
        if connection.connection.dbapi_connection in opened and cursor.description:
            # Type objects of DuckDB that outlive it are reported as leaks when Python exits.
            names = [(column[0], str(column[1])) + (None,) * 5 for column in cursor.description]
            context.cursor_fetch_strategy = FullyBufferedCursorFetchStrategy(
                cursor, names, deque(cursor.fetchall())
            )

    def join() -> "DBAPIConnection":
        # duckdb_engine sets an option of its own, and DuckDB opens no file with two configurations.
        connection = ConnectionWrapper(open_locked(database))
        opened.append(cast("DBAPIConnection", connection))
        return opened[-1]

    for name in ("great_expectations", "great_expectations.data_context.types.base"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # It logs a traceback where an expectation of columns as a whole has no share of values.
    logging.getLogger("great_expectations.render").setLevel(logging.CRITICAL)
    event.listen(Engine, "after_cursor_execute", buffer)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            context = gx.get_context(mode="ephemeral")
            context.variables.progress_bars = ProgressBarsConfig(globally=False)
            source = context.data_sources.add_or_update_sql(
                "staging",
                connection_string=f"duckdb:///{database}",
                kwargs={"creator": join},  # type: ignore[call-arg]  # its signature leaves them out
            )
            yield context, source
    finally:
        event.remove(Engine, "after_cursor_execute", buffer)
        # GX leaves connections open; DuckDB complains about each of them when Python exits.
        for connection in opened:
            connection.close()
