"""Lists, positions and propensities on their way from the source to the rows."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from deltalake import DeltaTable, write_deltalake

from driftune.config.workspace import Workspace
from driftune.features.days import encode_day, fit_encoder
from driftune.features.encoder import Encoder
from driftune.intake.ingest import ensure_reference, ingest
from driftune.intake.stage import content_hash
from driftune.lake.source import fetch
from driftune.lake.table import Lake
from driftune.registry.ledger import Ledger
from driftune.training.rows import Rows, load_rows
from tests.conftest import FIRST, World, impressions


def encoder_of(world: World) -> Encoder:
    days = world.config.reference.days
    return fit_encoder(world.config, days, Workspace(world.config).model / "encoder")


def rows_of(world: World, encoder: Encoder) -> Rows:
    return load_rows(encoder, [encode_day(world.config, encoder, FIRST)])


def as_logged() -> pd.DataFrame:
    """The first day in the order of its rows: by time."""
    return impressions(FIRST).sort_values("event_time", kind="stable")


def forget_lists(world: World) -> None:
    """Make the lake one that was written before lists were kept."""
    lake = str(Workspace(world.config).lake)
    older = DeltaTable(lake).to_pyarrow_table().drop_columns(["request_id"])
    write_deltalake(lake, older, mode="overwrite", schema_mode="overwrite", partition_by=["day"])


def distinct_times(frame: pd.DataFrame) -> np.ndarray:
    return ~frame["event_time"].duplicated(keep=False).to_numpy()


def test_lists_positions_and_propensities_reach_the_rows(ingested_world: World) -> None:
    rows = rows_of(ingested_world, encoder_of(ingested_world))
    frame = as_logged()
    kept = distinct_times(frame)
    assert kept.sum() > 1000
    assert rows.position[kept].tolist() == frame["position"][kept].tolist()
    assert rows.propensity[kept] == pytest.approx(frame["propensity"][kept].to_numpy(), rel=1e-6)
    pairs = pd.DataFrame({"id": frame["request_id"].to_numpy(), "hash": rows.request})[kept]
    assert pairs.drop_duplicates().nunique().tolist() == [pairs["id"].nunique()] * 2
    assert len(pairs.drop_duplicates()) == pairs["id"].nunique()
    assert (rows.request >= 0).all()


@pytest.mark.slow
@pytest.mark.ci
def test_taking_rows_takes_their_lists_along(ingested_world: World) -> None:
    rows = rows_of(ingested_world, encoder_of(ingested_world))
    chosen = np.array([7, 3, 11])
    taken = rows.take(chosen)
    for name in ("request", "position", "propensity"):
        assert getattr(taken, name).tolist() == getattr(rows, name)[chosen].tolist()


@pytest.mark.slow
@pytest.mark.ci
def test_logs_without_lists_and_propensities_say_so_in_the_rows(
    make_world: Callable[..., World],
) -> None:
    absent: dict[str, Any] = dict.fromkeys(("request", "position", "propensity"))
    world = make_world(columns=absent).with_reference()
    with Ledger(world.config) as ledger:
        ensure_reference(world.config, ledger)
    rows = rows_of(world, encoder_of(world))
    assert (rows.request == -1).all()
    assert np.isnan(rows.position).all()
    assert np.isnan(rows.propensity).all()


@pytest.mark.slow
@pytest.mark.ci
def test_single_gaps_stay_gaps(ingested_world: World) -> None:
    frame = impressions(FIRST)
    gaps = np.arange(len(frame)) % 5 == 0
    frame["propensity"] = frame["propensity"].mask(gaps)
    frame["request_id"] = frame["request_id"].mask(gaps)
    ingested_world.write(FIRST, frame)
    with Ledger(ingested_world.config) as ledger:
        ingest(ingested_world.config, ledger, FIRST)
    rows = rows_of(ingested_world, encoder_of(ingested_world))
    assert np.isnan(rows.propensity).sum() == gaps.sum()
    assert (rows.request == -1).sum() == gaps.sum()


@pytest.mark.slow
@pytest.mark.ci
def test_a_lake_from_before_lists_were_kept_is_still_read(ingested_world: World) -> None:
    forget_lists(ingested_world)
    assert Lake.of(ingested_world.config).days == ingested_world.config.reference.days
    encoder = encoder_of(ingested_world)
    rows = rows_of(ingested_world, encoder)
    assert len(rows) == len(as_logged())
    assert (rows.request == -1).all()
    assert np.isfinite(rows.propensity).all()


@pytest.mark.slow
@pytest.mark.ci
def test_a_day_taken_in_anew_brings_the_lists_into_an_older_lake(ingested_world: World) -> None:
    forget_lists(ingested_world)
    ingested_world.write(FIRST, impressions(FIRST, seed=1))
    with Ledger(ingested_world.config) as ledger:
        ingest(ingested_world.config, ledger, FIRST)
    encoder = encoder_of(ingested_world)
    assert (rows_of(ingested_world, encoder).request >= 0).all()


def test_where_no_list_is_named_a_day_keeps_the_content_hash_from_before(
    make_world: Callable[..., World], tmp_path: Path
) -> None:
    config = make_world(columns={"request": None}).with_reference().config
    fetched = fetch(config, FIRST, tmp_path / "scratch")
    columns = config.columns.model_dump(mode="json")
    del columns["request"], columns["time"]["sql"], columns["time"]["format"]
    before = {
        "files": fetched.content,
        "columns": columns,
        "features": [[*config.features.categorical], [*config.features.numerical]],
        "timezone": config.timezone,
        "unknown": config.domains.unknown,
        "known": None,
    }
    expected = hashlib.sha256(json.dumps(before, sort_keys=True).encode()).hexdigest()
    assert content_hash(config, fetched, None) == expected
    named = make_world().config
    assert content_hash(named, fetched, None) != expected
