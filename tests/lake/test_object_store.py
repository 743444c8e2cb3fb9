"""Days from an S3-compatible store: the same lake as from files, and errors in one line."""

from pathlib import Path
from typing import Any

import pytest
import s3fs

from driftune.errors import SourceError
from driftune.intake.ingest import ingest
from driftune.lake.table import Lake
from driftune.registry.ledger import Ledger
from tests.conftest import World, impressions


@pytest.mark.slow
@pytest.mark.ci
def test_a_day_of_objects_makes_the_lake_that_its_files_make(
    ingested_world: World, bucket: Any
) -> None:
    day = ingested_world.day(3)
    remote = World(ingested_world.root, source={"uri": "s3://logs/{day}/*.parquet"})
    frame = impressions(day)
    for number in range(2):
        part = frame[number * 600 : (number + 1) * 600]
        with bucket.open(f"logs/{day}/{number}.parquet", "wb") as file:
            part.to_parquet(file, index=False)
    with Ledger(remote.config) as ledger:
        taken = ingest(remote.config, ledger, day)
        assert (taken.changed, taken.quality.accepted) == (True, 1200)
        assert not ingest(remote.config, ledger, day).changed
    lake = Lake.of(remote.config)
    assert lake.contents[day] and lake.damage(day) is None
    for number in range(2):
        part = frame[number * 600 : (number + 1) * 600]
        part.to_parquet(ingested_world.root / "logs" / f"{day}-{number}.parquet", index=False)
    local = World(ingested_world.root, source={"uri": "logs/{day}-?.parquet"})
    with Ledger(local.config) as ledger:
        # The same bytes from elsewhere are the same content.
        assert not ingest(local.config, ledger, day).changed


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("s3://logs/{day}/*.parquet", "no file at s3://logs/2026-03-05/"),
        ("s3://nowhere/{day}.parquet", "s3://nowhere/2026-03-05.parquet"),
    ],
)
def test_what_is_not_there_is_one_line(
    ingested_world: World, bucket: Any, uri: str, said: str
) -> None:
    remote = World(ingested_world.root, source={"uri": uri})
    before = Lake.of(remote.config).contents
    with Ledger(remote.config) as ledger, pytest.raises(SourceError, match=said) as error:
        ingest(remote.config, ledger, ingested_world.day(3))
    assert "\n" not in str(error.value)
    assert Lake.of(remote.config).contents == before


def test_a_store_that_is_away_or_refuses_is_one_line(
    ingested_world: World, bucket: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    remote = World(ingested_world.root, source={"uri": "s3://logs/{day}.parquet"})
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()
    with Ledger(remote.config) as ledger, pytest.raises(SourceError, match="cannot be") as error:
        ingest(remote.config, ledger, ingested_world.day(3))
    assert "\n" not in str(error.value)
