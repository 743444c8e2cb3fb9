"""Nothing but models and records in the workspace: the source and the lake in an object store, the
ledger on PostgreSQL, MLflow a server with its files in a bucket.
"""

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from driftune.config.workspace import Workspace
from driftune.lake.table import Lake
from driftune.registry.ledger import Ledger
from driftune.registry.mlflow_mirror import mirrored
from driftune.registry.reconcile import reconcile
from driftune.registry.rollback import rollback
from driftune.retention.erase import erase
from driftune.retention.prune import prune
from flows.daily import daily
from tests.conftest import World
from tests.flows.conftest import DAY_AFTER, SHIFT_DAY, copy_world
from tests.flows.outcomes import assert_equal
from tests.postgres import Postgres
from tests.servers import free_port, mlflow_server

YEAR = 365 * 24 * 3600.0


def moved(world: World, bucket: Any, **registry: str) -> World:
    """The world with its logs and its lake in the bucket, and its registry elsewhere."""
    lake = Workspace(world.config).lake
    bucket.put(f"{lake}/", "s3://logs/lake", recursive=True)
    bucket.put(f"{world.root / 'logs'}/", "s3://logs/source", recursive=True)
    shutil.rmtree(lake)
    shutil.rmtree(world.root / "logs")
    for database in world.config.home.glob("*.db*"):
        database.unlink()
    params = yaml.safe_load(world.params.read_text())
    params |= {"lake": "s3://logs/lake", "registry": {**params["registry"], **registry}}
    params["source"]["uri"] = "s3://logs/source/impressions-{day}.parquet"
    world.params.write_text(yaml.safe_dump(params))
    return world


@pytest.mark.slow
def test_days_whose_parts_lie_elsewhere_end_as_those_in_a_folder(
    _pretrained: Path, tmp_path: Path, store: str, bucket: Any, postgres: Postgres
) -> None:
    here, there = (copy_world(_pretrained, tmp_path / name) for name in ("here", "there"))
    port = free_port()
    moved(there, bucket, ledger=postgres.ledger(), mlflow=f"http://127.0.0.1:{port}")
    bucket.mkdir("adapters")
    with mlflow_server(tmp_path, store, "adapters", port):
        for day in (SHIFT_DAY, DAY_AFTER):
            daily(day, str(here.params))
            daily(day, str(there.params))
        assert_equal(there, here)
        assert bucket.find("adapters/mlflow")
        with Ledger(there.config) as ledger:
            upkeep(there, ledger)
    assert not Workspace(there.config).lake.exists()
    assert not list(there.config.home.glob("*.db"))


def upkeep(world: World, ledger: Ledger) -> None:
    """What a team does between the days: all of it works, and leaves nothing to mend."""
    (key,) = ledger.champions()
    before = ledger.champion_version(key)
    rollback(world.config, ledger, key, None, "a complaint")
    assert ledger.champion_version(key) < before
    view = Lake.of(world.config)
    user = pd.read_parquet(view.paths(SHIFT_DAY)[0], columns=["user_id"])["user_id"][0]
    found = erase(world.config, ledger, [user], "a letter")
    assert found.rows > 0
    assert not [name for name in found.elsewhere if "lake" in name]
    dropped, _ = prune(world.config, ledger, YEAR * 100)
    assert {each.kind for each, _ in dropped} >= {"caches"}
    reconcile(world.config, ledger)
    assert all(wanted == held for wanted, held in mirrored(world.config, ledger).values())
    # The day that lost rows is whole, and taken in again it is no other.
    before = Lake.of(world.config).contents
    daily(SHIFT_DAY, str(world.params))
    assert Lake.of(world.config).contents == before
