"""A Great Expectations context in memory, whose DuckDB connections are buffered and closed."""

import logging
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from great_expectations.data_context.data_context.ephemeral_data_context import (
        EphemeralDataContext,
    )
    from sqlalchemy import Connection
    from sqlalchemy.engine.default import DefaultExecutionContext
    from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
    from sqlalchemy.pool import ConnectionPoolEntry


@contextmanager
def gx_context() -> Iterator["EphemeralDataContext"]:
    """Yield the context; warnings and progress bars of Great Expectations are silent."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig
    from sqlalchemy import event
    from sqlalchemy.engine import Engine
    from sqlalchemy.engine.cursor import FullyBufferedCursorFetchStrategy
    from sqlalchemy.pool import Pool

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
        if connection.dialect.name == "duckdb" and cursor.description:
            # Type objects of DuckDB that outlive it are reported as leaks when Python exits.
            names = [(column[0], str(column[1])) + (None,) * 5 for column in cursor.description]
            context.cursor_fetch_strategy = FullyBufferedCursorFetchStrategy(
                cursor, names, deque(cursor.fetchall())
            )

    def remember(connection: "DBAPIConnection", _record: "ConnectionPoolEntry") -> None:
        if type(connection).__module__.startswith("duckdb_engine"):
            opened.append(connection)

    for name in ("great_expectations", "great_expectations.data_context.types.base"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # It logs a traceback where an expectation of columns as a whole has no share of values.
    logging.getLogger("great_expectations.render").setLevel(logging.CRITICAL)
    event.listen(Engine, "after_cursor_execute", buffer)
    event.listen(Pool, "connect", remember)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            context = gx.get_context(mode="ephemeral")
            context.variables.progress_bars = ProgressBarsConfig(globally=False)
            yield context
    finally:
        event.remove(Engine, "after_cursor_execute", buffer)
        event.remove(Pool, "connect", remember)
        # GX leaves connections open; DuckDB complains about each of them when Python exits.
        for connection in opened:
            connection.close()
