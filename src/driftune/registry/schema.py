"""Tables of the ledger (SQLAlchemy Core), and inserts that two runs may attempt at once."""

from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects import postgresql, sqlite

metadata = MetaData()

days = Table(
    "days",
    metadata,
    Column("day", String(10), primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("lake_version", Integer, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("rejected", Integer, nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("recorded_at", Float, nullable=False),
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", String(120), primary_key=True),
    Column("domain", Text, nullable=False),
    Column("domain_key", String(64), nullable=False, index=True),
    Column("day", String(10), nullable=False, index=True),
    Column("revision", Integer, nullable=False),
    Column("backbone", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("score", Float),
    Column("scores", JSON, nullable=False),
    Column("sentence", Text, nullable=False),
    Column("data_version", Text, nullable=False),
    Column("champion_version", Integer, nullable=False),
    Column("owner", String(64)),
    Column("lease_until", Float),
    Column("attempts", Integer, nullable=False, default=0),
    Column("gate", JSON),
    Column("training", JSON),
    Column("adapter_version", Integer),
    Column("note", Text),
    Column("decided_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    UniqueConstraint("domain_key", "day", "revision", "backbone"),
)

adapters = Table(
    "adapters",
    metadata,
    Column("domain_key", String(64), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("domain", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("backbone", String(64), nullable=False),
    Column("decision_id", String(120), nullable=False),
    Column("reference_days", JSON, nullable=False),
    Column("mlflow_version", String(16)),
    Column("created_at", Float, nullable=False),
)

champions = Table(
    "champions",
    metadata,
    Column("domain_key", String(64), primary_key=True),
    Column("domain", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("decision_id", String(120)),
    Column("switched_at", Float, nullable=False),
)

switches = Table(
    "switches",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("domain_key", String(64), nullable=False, index=True),
    Column("domain", Text, nullable=False),
    Column("action", String(16), nullable=False),
    Column("from_version", Integer, nullable=False),
    Column("to_version", Integer, nullable=False),
    Column("decision_id", String(120)),
    Column("who", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Float, nullable=False),
)


def insert_new(connection: Connection, table: Table, values: dict[str, Any]) -> bool:
    """Insert a row unless its key is taken; whether this call wrote it.

    Nothing is raised when another run inserts the key first, even between a look and the insert.
    """
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table).values(**values).on_conflict_do_nothing()
    return connection.execute(statement).rowcount == 1
