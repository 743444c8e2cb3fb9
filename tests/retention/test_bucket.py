"""Retention and erasure of a lake in an S3-compatible store."""

import time
from pathlib import Path
from shutil import rmtree
from typing import Any

import pandas as pd
import pytest

from driftune.config.workspace import Workspace
from driftune.intake.ingest import ingest
from driftune.lake.store import store_of
from driftune.lake.table import Lake
from driftune.registry.ledger import Ledger
from driftune.retention.erase import erase, would_erase
from driftune.retention.prune import prune
from tests.conftest import World, impressions
from tests.lake.lakes import checksum

LAKE, USER, OTHER = "s3://logs/lake", "ana-77", "bo-78"
DAYS = 24 * 3600.0


@pytest.fixture
def remote(bucket: Any, trained_world: World) -> World:
    """A world whose lake is in the bucket, with a day of two deliveries that name the user."""
    lake = Workspace(trained_world.config).lake
    bucket.put(f"{lake}/", LAKE, recursive=True)
    rmtree(lake)
    world, day = World(trained_world.root, lake=LAKE), trained_world.day(3)
    frame = impressions(day)
    with Ledger(world.config) as ledger:
        for rows in (40, 50):
            frame.loc[frame.index[:rows], "user_id"] = USER
            world.write(day, frame)
            ingest(world.config, ledger, day)
    return world


def pruned(world: World, after_days: float) -> list[str]:
    """The kinds that a pruning so many days later drops."""
    with Ledger(world.config) as ledger:
        dropped, _ = prune(world.config, ledger, time.time() + after_days * DAYS)
        return [each.kind for each, _ in dropped]


def objects(bucket: Any, world: World) -> list[str]:
    """The day's data files in the bucket."""
    return list(bucket.glob(f"logs/lake/day={world.day(3)}/*.parquet"))


@pytest.mark.slow
@pytest.mark.ci
def test_old_versions_and_copies_go_and_the_lake_stays(remote: World, bucket: Any) -> None:
    before, cache = checksum(remote.config), Workspace(remote.config).lake_cache
    assert pruned(remote, 1) == []
    assert "versions" in pruned(remote, 91)
    assert len(objects(bucket, remote)) == 1
    # So long after, no copy on disk is in use either.
    assert not list(cache.rglob("*.parquet"))
    assert checksum(remote.config) == before
    assert len(list(cache.rglob("*.parquet"))) == len(Lake.of(remote.config).days)


@pytest.mark.slow
@pytest.mark.ci
def test_an_upload_that_no_version_names_goes_after_a_day(remote: World, bucket: Any) -> None:
    before, store = checksum(remote.config), store_of(remote.config)
    left = f"day={remote.day(3)}/part-00000-left.zstd.parquet"
    bucket.pipe_file(f"logs/lake/{left}", b"half")
    assert pruned(remote, 0.9) == []
    assert pruned(remote, 1.1) == ["leftovers"]
    assert left not in [file.name for file in store.files()]
    assert checksum(remote.config) == before


@pytest.mark.slow
@pytest.mark.ci
def test_no_object_names_an_erased_user(remote: World, bucket: Any, tmp_path: Path) -> None:
    with Ledger(remote.config) as ledger:
        told = would_erase(remote.config, ledger, [USER])
        found = erase(remote.config, ledger, [USER], "asked by letter")
        assert (found.rows, found.old_files) == (told.rows, told.old_files) == (50, 2)
        assert found.elsewhere == []
        # The same file again is a no-op.
        assert not ingest(remote.config, ledger, remote.day(3)).changed
    # A copy that a run put there meanwhile goes, too, whatever lake it is of.
    cache = Workspace(remote.config).lake_cache
    stray = cache / f"day={remote.day(9)}" / "part-00000-stray.parquet"
    stray.parent.mkdir()
    impressions(remote.day(9)).assign(user_id=OTHER).to_parquet(stray, index=False)
    with Ledger(remote.config) as ledger:
        assert erase(remote.config, ledger, [OTHER], "asked by letter").elsewhere == []
    assert not stray.exists()
    bucket.get(LAKE, str(tmp_path / "copy"), recursive=True)
    files = [
        path for folder in (tmp_path / "copy", cache) for path in folder.rglob("day=*/*.parquet")
    ]
    assert len(files) > len(Lake.of(remote.config).days)
    for path in files:
        assert USER not in set(pd.read_parquet(path, partitioning=None)["user_id"])
    assert Lake.of(remote.config).rows[remote.day(3)] == 1150
