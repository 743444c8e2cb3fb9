"""The database behind the ledger: opened, read, and written in one transaction at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import sqlalchemy as sa

from driftune.config import Config
from driftune.errors import LedgerBusyError, LedgerError
from driftune.registry.schema import complete


class Database:
    """A connection to the ledger's tables; close it, or use it as a context manager."""

    def __init__(self, config: Config) -> None:
        url = config.registry.ledger
        if url is None:
            config.home.mkdir(parents=True, exist_ok=True)
            url = f"sqlite:///{config.home / 'ledger.db'}"
        try:
            self.engine = sa.create_engine(url)
            if self.engine.dialect.name == "sqlite":
                _prepare_sqlite(self.engine)
            with _answering():
                complete(self.engine)
        except (sa.exc.SQLAlchemyError, ImportError) as error:
            raise LedgerError(
                f"registry.ledger: cannot open {url} ({_line(error)}); mend it or put a backup back"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self.engine.dispose()

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """One write transaction; on SQLite the only writer.

        Raises:
            LedgerBusyError: when another process does not let go of the ledger.
        """
        with _answering(), self.engine.begin() as connection:
            yield connection

    def read(self, query: sa.Select) -> list[sa.Row]:
        """Rows of a query."""
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            return list(connection.execute(query))

    def forget(self) -> None:
        """Let no page of the database hold what was overwritten; PostgreSQL does so by itself.

        Raises:
            LedgerBusyError: when another process does not let go of the ledger.
        """
        if self.engine.dialect.name != "sqlite":
            return
        plain = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        with _answering(), plain as connection:
            connection.exec_driver_sql("VACUUM")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def one(self, query: sa.Select) -> sa.Row | None:
        """First row of a query, or None."""
        rows = self.read(query)
        return rows[0] if rows else None


@contextmanager
def _answering() -> Iterator[None]:
    """Tell a ledger that another process keeps locked from one that is damaged."""
    try:
        yield
    except sa.exc.OperationalError as error:
        if "locked" not in str(error.orig):
            raise
        raise LedgerBusyError(
            f"registry.ledger: another process keeps it locked ({_line(error)}); try again"
        ) from None


def _line(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0]


def _prepare_sqlite(engine: sa.Engine) -> None:
    @sa.event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA busy_timeout = 30000")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # A transaction that reads first and writes later must not lose its place in between.
        # Asked of SQLite itself, the level of a reader would be that of a writer.
        if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
