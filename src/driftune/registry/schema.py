"""Tables of the ledger (SQLAlchemy Core), and inserts of two at once; see ``indexes`` too."""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    func,
)
from sqlalchemy.dialects import postgresql, sqlite

metadata = MetaData()

# Longer names of rules are cut in ``decisions.rule``.
RULE_LENGTH = 64

days = Table(
    "days",
    metadata,
    Column("day", String(10), primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("lake_version", Integer, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("rejected", BigInteger, nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("recorded_at", Float, nullable=False),
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", String(120), primary_key=True),
    Column("domain", Text, nullable=False),
    Column("domain_key", String(64), nullable=False),
    Column("day", String(10), nullable=False),
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
    # Which day that it used was delivered anew since; null while it rests on what the lake holds.
    Column("stale", Text),
    # That of ``scores``, "" for none, where an index finds it; null: an earlier release wrote it.
    Column("rule", String(RULE_LENGTH)),
    Column("decided_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
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

# ``data_day``: the newest day in the lake when a person made the switch; null for those that runs
# make, whose day the decision or check behind them tells, and in ledgers of earlier releases.
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
    Column("data_version", Text),
    Column("backbone", String(64)),
    Column("data_day", String(10)),
)

# Champions after their promotion: ``estimate`` is the champion's AUC on the day's rows less that
# of version ``against``; ``restored`` the version that a rollback put in its place; ``as_of`` the
# day whose run made the check, null where that is the checked day itself; ``announced`` whether
# the rollback's event was emitted, null where there is none, or an earlier release emitted it.
checks = Table(
    "checks",
    metadata,
    Column("day", String(10), primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("domain_key", String(64), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("against", Integer, primary_key=True),
    Column("domain", Text, nullable=False),
    Column("metric", String(16), nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("positives", BigInteger, nullable=False),
    Column("estimate", Float),
    Column("error", Float),
    Column("p", Float),
    Column("pooled", Float),
    Column("pooled_error", Float),
    Column("pooled_p", Float),
    Column("verdict", String(16), nullable=False),
    Column("rule", String(32), nullable=False),
    Column("restored", Integer),
    Column("data_version", Text, nullable=False),
    Column("backbone", String(64), nullable=False),
    Column("checked_at", Float, nullable=False),
    Column("as_of", String(10)),
    Column("announced", Boolean),
)

# The day whose run made a check; ledgers of earlier releases do not name it.
AS_OF = func.coalesce(checks.c.as_of, checks.c.day).label("as_of")

# What a person said of a decision that waited for approval; ``verdict``: approved or declined.
reviews = Table(
    "reviews",
    metadata,
    Column("decision_id", String(120), primary_key=True),
    Column("domain_key", String(64), nullable=False, index=True),
    Column("verdict", String(16), nullable=False),
    Column("who", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Float, nullable=False),
)

# Decisions that another one of the same day took the place of, as settings or days had changed.
# ``state`` and ``note``: as they were then; null in ledgers of earlier releases.
redecided = Table(
    "redecided",
    metadata,
    Column("decision_id", String(120), primary_key=True),
    Column("successor", String(120), nullable=False),
    Column("domain_key", String(64), nullable=False, index=True),
    Column("who", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("state", String(16)),
    Column("note", Text),
)

# Messages about what happened, written with it and sent later. ``delivered``: names of the targets
# that have taken one; ``sent_at``: when all had.
runs = Table(
    "runs",
    metadata,
    Column("day", String(10), primary_key=True),
    Column("started_at", Float, nullable=False),
    Column("stations", JSON, nullable=False),
    Column("succeeded", Boolean),
)

messages = Table(
    "messages",
    metadata,
    Column("id", String(200), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("domain", Text),
    Column("domain_key", String(64)),
    Column("day", String(10)),
    Column("facts", JSON, nullable=False),
    Column("delivered", JSON, nullable=False),
    Column("queued_at", Float, nullable=False),
    Column("lease_until", Float),
    Column("sent_at", Float, index=True),
)

# Who was erased: the list of ``lake.suppressed`` once more. ``users``: their marks under the key
# ``salt``; ``chain``: a hash of the list up to this erasure.
erasures = Table(
    "erasures",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("salt", String(64), nullable=False),
    Column("keyed", String(16), nullable=False),
    Column("chain", String(64), nullable=False),
    Column("at", String(32), nullable=False),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("users", JSON, nullable=False),
    Column("finished", String(32)),
    Column("removed", JSON, nullable=False),
)

# Days that lost rows: ``content`` is what the lake has of files whose own content is ``source``.
erased_days = Table(
    "erased_days",
    metadata,
    Column("day", String(10), primary_key=True),
    Column("source", String(64), primary_key=True),
    Column("content", String(64), nullable=False),
)


def insert_new(connection: Connection, table: Table, values: dict[str, Any]) -> bool:
    """Insert a row unless its key is taken; whether this call wrote it.

    Nothing is raised when another run inserts the key first, even between a look and the insert.
    """
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table).values(**values).on_conflict_do_nothing()
    # Drivers do not agree on the number of rows that an insert has written.
    return connection.execute(statement.returning(*table.primary_key)).first() is not None
