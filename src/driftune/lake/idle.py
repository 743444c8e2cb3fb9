"""Empty DuckDB databases in memory, kept for their next user: to make one takes some 20 ms."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Lock

import duckdb

# Databases that are kept; each has threads of its own.
KEPT = 4

_LEFT = """
    SELECT (SELECT count(*) FROM duckdb_tables()) +
           (SELECT count(*) FROM duckdb_views() WHERE NOT internal)
"""


class _Idle:
    """Databases that nobody uses, the longest unused first, each with what it may reach."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._held: list[tuple[tuple[str, ...], duckdb.DuckDBPyConnection]] = []

    def take(self, within: tuple[str, ...]) -> duckdb.DuckDBPyConnection | None:
        """One that may reach just this, which is the caller's alone from now on."""
        with self._lock:
            for number, (reach, database) in enumerate(self._held):
                if reach == within:
                    del self._held[number]
                    return database
        return None

    def give(self, within: tuple[str, ...], database: duckdb.DuckDBPyConnection) -> None:
        """Keep one for the next; what is more than ``KEPT`` is closed."""
        with self._lock:
            self._held.append((within, database))
            gone = [self._held.pop(0)[1] for _ in range(len(self._held) - KEPT)]
        for each in gone:
            each.close()

    def forget(self) -> None:
        """Leave all to the process that this one was forked from, which has their threads."""
        self._lock = Lock()
        self._forked = self._held
        self._held = []


_IDLE = _Idle()
os.register_at_fork(after_in_child=_IDLE.forget)


@contextmanager
def idle(
    within: tuple[str, ...], make: Callable[[], duckdb.DuckDBPyConnection]
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to a database of one's own that may reach ``within``; ``make`` makes one.

    Temporary tables and views go with the connection. A database that other ones were left in, or
    that an error has damaged, is not used again.
    """
    database = _IDLE.take(within) or make()
    try:
        with database.cursor() as con:
            yield con
    finally:
        is_empty = False
        with suppress(duckdb.Error):
            database.execute("RESET threads")
            is_empty = database.execute(_LEFT).fetchall() == [(0,)]
        if is_empty:
            _IDLE.give(within, database)
        else:
            database.close()
