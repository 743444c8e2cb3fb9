"""The database behind the ledger: opened, read, and written in one transaction at a time."""

import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa
from pydantic import JsonValue
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from driftune.config import Config
from driftune.errors import LedgerBusyError, LedgerError
from driftune.io import finite
from driftune.registry.complete import complete

# What a database that fails raises where no error of Driftune's own says it better.
DatabaseFault = sa.exc.SQLAlchemyError

# How long a writer waits for another one (seconds), and how long the server lets one do nothing.
PATIENCE = 30
# What the server, or SQLite, says when another process holds what a transaction needs.
_HELD = ("locked", "lock timeout", "deadlock detected")

# What a transaction of the ledger runs in; others hand it on and speak no SQL.
Connection = sa.Connection


class Database:
    """A connection to the ledger's tables; close it, or use it as a context manager."""

    def __init__(self, config: Config) -> None:
        url = config.registry.ledger
        if url is None:
            config.home.mkdir(parents=True, exist_ok=True)
            url = f"sqlite:///{config.home / 'ledger.db'}"
        try:
            self.engine = _engine(url)
        except ModuleNotFoundError as error:
            remedy = "install what it needs; PostgreSQL's is the extra postgres"
            raise LedgerError(f"registry.ledger: cannot open {url} ({error}); {remedy}") from None
        except sa.exc.SQLAlchemyError as error:
            raise LedgerError(f"registry.ledger: cannot open {url} ({_line(error)})") from None
        try:
            with _unlocked():
                complete(self.engine)
        except sa.exc.SQLAlchemyError as error:
            self.close()
            what = f"registry.ledger: cannot open {url} ({_line(error)})"
            if self._is_away(error):
                raise LedgerBusyError(
                    f"{what}; see whether its server runs and takes this login, then try again"
                ) from None
            raise LedgerError(f"{what}; {_remedy(self.engine.url)}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self.engine.dispose()

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """One write transaction; on SQLite the only writer.

        Raises:
            LedgerBusyError: when another process does not let go of the ledger, or its server
                does not answer; nothing is written then.
        """
        with self._answering(), self.engine.begin() as connection:
            yield connection

    def read(self, query: sa.Select[Any]) -> list[sa.Row[Any]]:
        """Rows of a query.

        Raises:
            LedgerBusyError: when its server does not answer.
        """
        with (
            self._answering(),
            self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
        ):
            return list(connection.execute(query))

    def forget(self) -> None:
        """Let no page of the database hold what was overwritten; PostgreSQL does so by itself.

        Raises:
            LedgerBusyError: when another process does not let go of the ledger.
        """
        if self.engine.dialect.name != "sqlite":
            return
        plain = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        with self._answering(), plain as connection:
            connection.exec_driver_sql("VACUUM")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def one(self, query: sa.Select[Any]) -> sa.Row[Any] | None:
        """First row of a query, or None."""
        rows = self.read(query)
        return rows[0] if rows else None

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Tell a ledger that is locked or away from one that is damaged."""
        try:
            with _unlocked():
                yield
        except sa.exc.DBAPIError as error:
            if not self._is_away(error):
                raise
            raise LedgerBusyError(
                f"registry.ledger: its server does not answer ({_line(error)}); what was not "
                "committed is undone; try again when it is back"
            ) from None

    def _is_away(self, error: Exception) -> bool:
        """Whether a server, not a file, failed to answer."""
        return self.engine.dialect.name != "sqlite" and isinstance(error, sa.exc.OperationalError)


@contextmanager
def _unlocked() -> Iterator[None]:
    try:
        yield
    except sa.exc.OperationalError as error:
        if not any(said in str(error.orig) for said in _HELD):
            raise
        raise LedgerBusyError(
            f"registry.ledger: another process keeps it locked ({_line(error)}); try again"
        ) from None


def _remedy(address: sa.URL) -> str:
    """What to do about a ledger that cannot be opened: SQLite writes beside its file to read it."""
    folder = Path(address.database or ".").parent
    if address.get_backend_name() == "sqlite" and not os.access(folder, os.W_OK | os.X_OK):
        return f"{folder} cannot be written to, and SQLite writes beside its file; see to that"
    return "repair it or put a backup back"


def _line(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0]


def _engine(url: str) -> sa.Engine:
    address = sa.make_url(url)
    if address.drivername in ("postgres", "postgresql"):
        address = address.set(drivername="postgresql+psycopg")
    if address.get_backend_name() == "sqlite":
        engine = sa.create_engine(address)
        _prepare_sqlite(engine)
        return engine
    # A server may have been restarted since a connection was last used.
    engine = sa.create_engine(address, pool_pre_ping=True, json_serializer=_json)
    if engine.dialect.name == "postgresql":
        _prepare_postgresql(engine)
    return engine


def _json(value: JsonValue) -> str:
    """JSON text in which what is not a number is null: PostgreSQL takes no other."""
    return json.dumps(finite(value))


def _prepare_postgresql(engine: sa.Engine) -> None:
    @sa.event.listens_for(engine, "connect")
    def _connect(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        with closing(connection.cursor()) as cursor:
            cursor.execute(f"SET lock_timeout = '{PATIENCE}s'")
            # A writer that hangs, or whose machine is gone, must not keep all others waiting.
            cursor.execute(f"SET idle_in_transaction_session_timeout = '{2 * PATIENCE}s'")
        connection.commit()


def _prepare_sqlite(engine: sa.Engine) -> None:
    @sa.event.listens_for(engine, "connect")
    def _connect(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute(f"PRAGMA busy_timeout = {PATIENCE * 1000}")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # A transaction that reads first and writes later must not lose its place in between.
        # Asked of SQLite itself, the level of a reader would be that of a writer.
        if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
