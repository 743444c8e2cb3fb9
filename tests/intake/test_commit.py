"""The files of a committed day."""

import tempfile
from pathlib import Path
from shutil import rmtree

import pandas as pd
import pytest

from driftune.config.workspace import Workspace
from driftune.intake.ingest import ingest
from driftune.lake.table import Lake
from driftune.registry.ledger import Ledger
from tests.conftest import World


def test_the_day_is_one_file_in_the_order_of_delivery(ingested_world: World) -> None:
    world, day = ingested_world, ingested_world.day(3)
    delivered = pd.read_parquet(world.write(day))
    with Ledger(world.config) as ledger:
        ingest(world.config, ledger, day)
    (file,) = Lake.of(world.config).paths(day)
    held = pd.read_parquet(file, partitioning=None)
    for name in ("user_id", "item_id", "request_id"):
        assert held[name].tolist() == delivered[name].tolist()


def test_staging_may_have_a_disk_of_its_own(ingested_world: World) -> None:
    world, day = ingested_world, ingested_world.day(3)
    staging = Workspace(world.config).staging
    disk = Path("/dev/shm")
    if not disk.is_dir() or disk.stat().st_dev == world.root.stat().st_dev:
        pytest.skip("no second file system at hand: /dev/shm is missing or the same")
    with tempfile.TemporaryDirectory(dir=disk) as folder:
        rmtree(staging, ignore_errors=True)
        staging.symlink_to(folder, target_is_directory=True)
        world.write(day)
        with Ledger(world.config) as ledger:
            assert ingest(world.config, ledger, day).changed
        assert not list(Path(folder).iterdir())
    assert Lake.of(world.config).damage(day) is None
