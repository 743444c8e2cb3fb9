"""What ledgers of earlier releases lack: tables, columns, indexes; several decisions a day."""

from typing import Any

from sqlalchemy import Column, Connection, Engine, Table, func, inspect, select

from driftune.errors import LedgerError
from driftune.registry.indexes import add_indexes, missing_indexes
from driftune.registry.schema import decisions, metadata
from driftune.registry.widen import allow_several, one_decision_a_day

# The advisory lock of who brings a ledger's tables up to date: any number that is Driftune's own.
_COMPLETING = 0x64726966


def complete(engine: Engine) -> None:
    """Give a ledger the tables, and one of an earlier release the columns and indexes, it lacks.

    New columns hold null. One that lacks nothing is only read: that waits for no writer.

    Raises:
        LedgerError: when a missing column cannot be null: no release has made such a ledger.
    """
    plain = engine.execution_options(isolation_level="AUTOCOMMIT")
    if _is_complete(plain):
        return
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            # Two that create a table at once would fail there, though each looks first.
            connection.execute(select(func.pg_advisory_xact_lock(_COMPLETING)))
        # Looked at again inside the transaction: another run may have added them meanwhile.
        metadata.create_all(connection)
        for table, column in _missing(connection):
            if not column.nullable:
                raise LedgerError(f"registry.ledger: table {table.name} lacks {column.name}")
            kind = column.type.compile(connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {column.name} {kind}")
        allow_several(connection, decisions)
        add_indexes(connection)


def _is_complete(bind: Engine) -> bool:
    return not _missing(bind) and one_decision_a_day(bind) is None and not missing_indexes(bind)


def _missing(bind: Engine | Connection) -> list[tuple[Table, Column[Any]]]:
    held = {
        (table, column["name"])
        for (_, table), columns in inspect(bind).get_multi_columns().items()
        for column in columns
    }
    return [
        (table, column)
        for table in metadata.sorted_tables
        for column in table.columns
        if (table.name, column.name) not in held
    ]
