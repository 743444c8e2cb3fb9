"""Widen: ledgers of earlier releases held one decision a domain, day, revision and backbone.

A day that is decided again has several.
"""

from sqlalchemy import Connection, Engine, Table, inspect

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
    for index in decisions.indexes:
        connection.exec_driver_sql(f"DROP INDEX IF EXISTS {index.name}")
    connection.exec_driver_sql("ALTER TABLE decisions RENAME TO decisions_before")
    decisions.create(connection)
    # What a newer release has added is not lost.
    kept = [column["name"] for column in inspect(connection).get_columns("decisions_before")]
    for extra in [each for each in kept if each not in decisions.c]:
        connection.exec_driver_sql(f'ALTER TABLE decisions ADD COLUMN "{extra}"')
    names = ", ".join(f'"{each}"' for each in kept)
    connection.exec_driver_sql(
        f"INSERT INTO decisions ({names}) SELECT {names} FROM decisions_before"
    )
    connection.exec_driver_sql("DROP TABLE decisions_before")
