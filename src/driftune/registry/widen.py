"""Widen: ledgers of earlier releases held one decision a domain, day, revision and backbone.

A day that is decided again has several.
"""

import logging

from sqlalchemy import Connection, Engine, RowMapping, Table, inspect

log = logging.getLogger("driftune")

_ONE = {"domain_key", "day", "revision", "backbone"}


def one_decision_a_day(bind: Engine | Connection) -> str | None:
    """The name of the constraint that allows one alone, "" where it has none; None without it."""
    inspector = inspect(bind)
    if not inspector.has_table("decisions"):
        return None
    for constraint in inspector.get_unique_constraints("decisions"):
        if set(constraint["column_names"]) == _ONE:
            return constraint["name"] or ""
    return None


def allow_several(connection: Connection, decisions: Table) -> None:
    """Take the constraint off a ledger that has it; all rows stay. In the caller's transaction.

    SQLite drops no constraint: its table is written anew.
    """
    name = one_decision_a_day(connection)
    if name is None:
        return
    if connection.dialect.name == "postgresql":
        quoted = connection.dialect.identifier_preparer.quote(name)
        connection.exec_driver_sql(f"ALTER TABLE decisions DROP CONSTRAINT {quoted}")
        return
    _write_anew(connection, decisions)


def _write_anew(connection: Connection, decisions: Table) -> None:
    """Write SQLite's table anew; what a newer release or a person has added to it stays."""
    own = {index.name for index in decisions.indexes}
    made = connection.exec_driver_sql(
        "SELECT name, sql FROM sqlite_master "
        "WHERE type = 'index' AND tbl_name = 'decisions' AND sql IS NOT NULL"
    ).all()
    columns = connection.exec_driver_sql("PRAGMA table_info(decisions)").mappings().all()
    for name, _ in made:
        connection.exec_driver_sql(f"DROP INDEX {_quoted(name)}")
    connection.exec_driver_sql("ALTER TABLE decisions RENAME TO decisions_before")
    decisions.create(connection)
    for column in [each for each in columns if each["name"] not in decisions.c]:
        connection.exec_driver_sql(f"ALTER TABLE decisions ADD COLUMN {_column(column)}")
    names = ", ".join(_quoted(each["name"]) for each in columns)
    connection.exec_driver_sql(
        f"INSERT INTO decisions ({names}) SELECT {names} FROM decisions_before"
    )
    connection.exec_driver_sql("DROP TABLE decisions_before")
    for name, text in made:
        if name not in own:
            connection.exec_driver_sql(text)
    count = connection.exec_driver_sql("SELECT count(*) FROM decisions").scalar_one()
    log.info("the ledger of an earlier release takes several decisions a day now: %d kept", count)


def _column(column: RowMapping) -> str:
    """A column of ``PRAGMA table_info`` as it is added to a table.

    One without a default is nullable: SQLite adds no other to a table.
    """
    default = column["dflt_value"]
    text = f"{_quoted(column['name'])} {column['type']}"
    if default is None:
        return text
    # A default that is no plain value has to be in brackets.
    return f"{text}{' NOT NULL' * column['notnull']} DEFAULT ({default})"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
