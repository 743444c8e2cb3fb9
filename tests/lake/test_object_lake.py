"""A lake in an S3-compatible store: what a folder would hold, through kills and errors."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from shutil import rmtree
from typing import Any

import pandas as pd
import pytest
import s3fs

from driftune.config.workspace import Workspace
from driftune.errors import ConfigError, LakeError
from driftune.intake import commit
from driftune.intake.ingest import ensure_reference, ingest
from driftune.lake.table import Lake
from driftune.lake.versions import day_versions, export_day
from driftune.registry.ledger import Ledger
from tests.conftest import World, impressions
from tests.crowning import bring, pending, train
from tests.lake.lakes import checksum

LAKE = "s3://logs/lake"
TAKEN_IN = """
import os, sys
from datetime import date
from driftune.intake import commit
from driftune.intake.ingest import ingest
from driftune.config.loading import load_config
from driftune.registry.ledger import Ledger
config = load_config(sys.argv[1], env={})
with Ledger(config) as ledger:
    ingest(config, ledger, date.fromisoformat(sys.argv[2]))
"""
KILLED = TAKEN_IN.replace(
    "config =", "commit._overwrite = lambda *_: os.kill(os.getpid(), 9); config ="
)


@pytest.fixture
def remote(bucket: Any, ingested_world: World) -> World:
    """A world whose lake was copied into the bucket, with the reference days."""
    lake = Workspace(ingested_world.config).lake
    bucket.put(f"{lake}/", LAKE, recursive=True)
    rmtree(lake)
    return World(ingested_world.root, lake=LAKE)


def take_in(world: World, number: int, rows: int = 1200) -> bool:
    """Deliver a day and take it in; whether the lake changed."""
    day = world.day(number)
    world.write(day, impressions(day, rows))
    with Ledger(world.config) as ledger:
        return ingest(world.config, ledger, day).changed


def objects(bucket: Any, world: World, number: int) -> list[str]:
    """A day's data files in the bucket."""
    return sorted(bucket.glob(f"logs/lake/day={world.day(number)}/*.parquet"))


def test_a_bucket_holds_what_a_folder_would(
    bucket: Any, ingested_world: World, make_world: Callable[..., World]
) -> None:
    remote = make_world(lake=LAKE).with_reference()
    with Ledger(remote.config) as ledger:
        ensure_reference(remote.config, ledger)
    assert take_in(remote, 3)
    take_in(ingested_world, 3)
    assert not take_in(remote, 3)
    here, there = Lake.of(ingested_world.config), Lake.of(remote.config)
    assert (there.contents, there.rows) == (here.contents, here.rows)
    assert checksum(remote.config) == checksum(ingested_world.config)
    assert not Workspace(remote.config).lake.exists()
    assert len(objects(bucket, remote, 3)) == 1


@pytest.mark.slow
@pytest.mark.ci
def test_the_cache_may_go_at_any_time(remote: World) -> None:
    before, cache = checksum(remote.config), Workspace(remote.config).lake_cache
    rmtree(cache)
    assert checksum(remote.config) == before
    copy = next(iter(cache.rglob("*.parquet")))
    copy.write_bytes(b"torn")
    assert checksum(remote.config) == before


@pytest.mark.slow
@pytest.mark.ci
def test_a_kill_between_upload_and_commit_leaves_the_day_to_a_second_run(
    remote: World, bucket: Any
) -> None:
    day, before = remote.day(3), Lake.of(remote.config).contents
    remote.write(day)
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, str(remote.params), str(day)], env=os.environ, check=False
    )
    assert ended.returncode == -9
    assert len(objects(bucket, remote, 3)) == 1
    assert Lake.of(remote.config).contents == before
    assert take_in(remote, 3)
    assert Lake.of(remote.config).damage(day) is None
    # The first one is of no version: prune drops it after a day.
    assert len(objects(bucket, remote, 3)) == 2


@pytest.mark.slow
@pytest.mark.ci
def test_processes_that_take_days_in_at_once_lose_none(remote: World) -> None:
    # Two of one day, and one of each of two others, which know nothing of each other's commits.
    numbers = (3, 3, 4, 5)
    for number in set(numbers):
        remote.write(remote.day(number))
    started = [
        subprocess.Popen([sys.executable, "-c", TAKEN_IN, str(remote.params), str(remote.day(n))])
        for n in numbers
    ]
    assert [each.wait(timeout=120) for each in started] == [0] * len(numbers)
    lake = Lake.of(remote.config)
    for number in set(numbers):
        assert lake.rows[remote.day(number)] == 1200
        assert lake.damage(remote.day(number)) is None
        assert len(day_versions(remote.config, remote.day(number))) == 1


@pytest.mark.slow
@pytest.mark.ci
def test_a_commit_whose_answer_is_lost_is_one(
    remote: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = commit._overwrite

    def lost(*arguments: Any) -> None:
        real(*arguments)
        raise OSError("connection reset")

    monkeypatch.setattr(commit, "_overwrite", lost)
    assert take_in(remote, 3)
    lake = Lake.of(remote.config)
    assert lake.rows[remote.day(3)] == 1200
    assert lake.damage(remote.day(3)) is None


@pytest.mark.slow
@pytest.mark.ci
def test_a_commit_that_is_refused_leaves_nothing(
    remote: World, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any) -> None:
        raise OSError("access denied")

    monkeypatch.setattr(commit, "_overwrite", refused)
    with pytest.raises(LakeError, match=r"access denied.*unchanged; run the day again") as error:
        take_in(remote, 3)
    assert "\n" not in str(error.value)
    assert objects(bucket, remote, 3) == []
    assert not list(Workspace(remote.config).lake_cache.glob(f"day={remote.day(3)}/*.parquet"))


@pytest.mark.slow
@pytest.mark.ci
def test_an_object_that_is_gone_is_named_and_the_day_brought_in_again(
    remote: World, bucket: Any
) -> None:
    take_in(remote, 3)
    before, day = checksum(remote.config), remote.day(3)
    bucket.rm_file(objects(bucket, remote, 3)[0])
    rmtree(Workspace(remote.config).lake_cache)
    with pytest.raises(LakeError, match=rf"{LAKE}/.* is missing; .*driftune run --day {day}"):
        Lake.of(remote.config).relation([day])
    assert take_in(remote, 3)
    assert checksum(remote.config) == before


@pytest.mark.slow
@pytest.mark.ci
def test_old_versions_are_read_from_the_bucket(remote: World, tmp_path: Path) -> None:
    day = remote.day(3)
    take_in(remote, 3)
    take_in(remote, 3, rows=900)
    rmtree(Workspace(remote.config).lake_cache)
    found = day_versions(remote.config, day)
    assert [(row["rows"], row["readable"]) for row in found] == [(1200, True), (900, True)]
    target = tmp_path / "old.parquet"
    assert export_day(remote.config, day, found[0]["version"], target) == 1200
    assert len(pd.read_parquet(target)) == 1200


@pytest.mark.slow
@pytest.mark.ci
def test_an_adapter_from_a_bucket_is_the_one_from_a_folder(
    trained_world: World, bucket: Any
) -> None:
    day = bring(trained_world, trained_world.day(3))
    made = train(trained_world, pending(trained_world, day))
    bucket.put(f"{Workspace(trained_world.config).lake}/", LAKE, recursive=True)
    for gone in ("lake", "features"):
        rmtree(trained_world.root / "workspace" / gone)
    remote = World(trained_world.root, lake=LAKE)
    rmtree(Workspace(remote.config).challenger(f"{day}.home-north.r1"))
    assert train(remote, f"{day}.home-north.r1") == made


@pytest.mark.slow
@pytest.mark.ci
def test_a_store_that_is_away_is_one_line(remote: World, monkeypatch: pytest.MonkeyPatch) -> None:
    take_in(remote, 3)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(LakeError, match=rf"the lake {LAKE} cannot be reached") as error:
        Lake.of(remote.config)
    assert "\n" not in str(error.value)


def test_a_bucket_that_is_not_there_is_one_line(bucket: Any, make_world: Any) -> None:
    world = make_world(lake="s3://nowhere/lake").with_reference()
    with Ledger(world.config) as ledger, pytest.raises(LakeError, match="s3://nowhere/lake") as e:
        ensure_reference(world.config, ledger)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("lake", ["ftp://host/lake", "s3://", "s3://name:secret@bucket/lake"])
def test_a_place_that_is_no_lake_is_refused_at_once(make_world: Any, lake: str) -> None:
    with pytest.raises(ConfigError, match=r"lake.*s3://NAME/lake") as error:
        _ = make_world(lake=lake).config
    assert "secret" not in str(error.value)


@pytest.mark.slow
@pytest.mark.ci
def test_a_lake_may_be_any_folder(make_world: Callable[..., World]) -> None:
    world = make_world(lake="big/lake").with_reference()
    with Ledger(world.config) as ledger:
        days = ensure_reference(world.config, ledger)
    assert Lake.of(world.config).days == days
    assert (world.root / "big" / "lake" / "_delta_log").is_dir()
