"""The files of a committed day."""

import pandas as pd
import pytest

from driftune.logs.ingest import ingest
from driftune.logs.lake import Lake
from driftune.registry.ledger import Ledger
from tests.conftest import World


@pytest.mark.parametrize("at_once", [1, 700, 5_000])
def test_the_day_is_sorted_by_domain_key_however_it_is_written(
    ingested_world: World, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    world, day = ingested_world, ingested_world.day(3)
    monkeypatch.setattr("driftune.logs.commit.SORTED_ROWS", at_once)
    world.write(day)
    with Ledger(world.config) as ledger:
        ingest(world.config, ledger, day)
    files = list(Lake.of(world.config).files[day])
    keys = pd.concat([pd.read_parquet(file, partitioning=None) for file in files])["domain_key"]
    assert len(keys) == 1200
    assert keys.is_monotonic_increasing
    assert len(files) == {1: 4, 700: 2, 5_000: 1}[at_once]
