"""The ids of erased users that a workspace holds again: found by their marks on the list.

Each place's distinct ids are hashed in one pass, by DuckDB.
"""

from contextlib import suppress
from pathlib import Path

import duckdb

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.errors import LakeDamageError
from driftune.lake.duck import connect, parquet
from driftune.lake.suppressed import Suppressed
from driftune.lake.table import Lake
from driftune.registry.ledger import Ledger
from driftune.retention.parquet_rows import quarantined_like
from driftune.retention.texts import recorded_words
from driftune.training.pretrain import encoder_folder


def listed_ids(config: Config, ledger: Ledger, held: Suppressed) -> list[str]:
    """The ids on the list that lake (old versions too), quarantine, vocabulary or records hold.

    A file of the lake that cannot be read tells nothing.

    Raises:
        DriftuneError: when a record that may name them is damaged.
    """
    marks = held.users
    if not marks:
        return []
    condition = f"{held.mark_sql('id')} IN (SELECT unnest($1::VARCHAR[]))"
    found = quarantined_like(config, condition, marks)
    for path, source in _relations(config):
        with suppress(duckdb.Error), connect(reach=[path]) as con:
            query = f"SELECT id FROM (SELECT DISTINCT {source}) WHERE {condition}"
            found |= {user for (user,) in con.execute(query, [marks]).fetchall()}
    with connect() as con:
        words = sorted(recorded_words(config, ledger))
        query = f"SELECT id FROM (SELECT unnest($2::VARCHAR[]) AS id) WHERE {condition}"
        found |= {user for (user,) in con.execute(query, [marks, words]).fetchall()}
    return sorted(found)


def _relations(config: Config) -> list[tuple[Path, str]]:
    """Files of the workspace that hold ids as such, and where in them, as SQL."""
    store, found = Lake.of(config).store, []
    for file in store.files():
        with suppress(LakeDamageError):
            path = store.read(file.name, file.size)
            found.append((path, f"user_id AS id FROM {parquet(path)}"))
    for path in sorted(Workspace(config).lake_cache.rglob("*.parquet")):
        found.append((path, f"user_id AS id FROM {parquet(path)}"))
    vocabulary = encoder_folder(config) / "vocabulary.parquet"
    if vocabulary.exists():
        source = f"value AS id FROM {parquet(vocabulary)} WHERE field = 'user'"
        found.append((vocabulary, source))
    return found
