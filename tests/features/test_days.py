"""Encoded days: ids with out-of-vocabulary buckets, and counters that never see their own day."""

import math
from datetime import timedelta

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftune.config.workspace import Workspace
from driftune.features import days as features
from driftune.features.counters import counter_columns, history
from driftune.features.days import encode_day, fit_encoder
from driftune.features.encoder import load_encoder, number_names
from driftune.intake.ingest import ingest
from driftune.lake.table import Lake
from driftune.registry.ledger import Ledger
from tests.checkpoint import judged_plainly
from tests.conftest import REFERENCE_DAYS, World, impressions, made_once


@pytest.fixture(scope="session")
def _fitted(_ingested, tmp_path_factory):
    def make(folder):
        world = World(folder)
        config, day = world.config, world.day(REFERENCE_DAYS)
        fit_encoder(config, config.reference.days, Workspace(config).model / "encoder")
        frame = impressions(day)
        frame.loc[0, "item_id"] = "never-seen"
        frame.loc[1, "category"] = None
        world.write(day, frame)
        with judged_plainly(), Ledger(config) as ledger:
            ingest(config, ledger, day)

    return made_once(tmp_path_factory, "fitted", make, _ingested)


@pytest.fixture
def fitted(_fitted, tmp_path):
    """A copy of a world with a fitted encoder and one day after the reference days in the lake."""
    world = World.copied(_fitted, tmp_path / "fitted")
    encoder = load_encoder(Workspace(world.config).model / "encoder")
    return world, encoder, world.day(REFERENCE_DAYS)


def raw(world, day):
    """The raw counters of a day, standardisation undone."""
    encoder = load_encoder(Workspace(world.config).model / "encoder")
    frame = pd.read_parquet(encode_day(world.config, encoder, day))
    for number, name in enumerate(encoder.numbers):
        frame[name] = frame[f"x_{number}"] * encoder.scales[number] + encoder.means[number]
    return frame


def test_the_encoder_is_the_same_when_fitted_again(fitted):
    world, encoder, _ = fitted
    again = fit_encoder(
        world.config, world.config.reference.days, Workspace(world.config).model / "again"
    )
    assert again.fingerprint == encoder.fingerprint


def test_ids_fit_the_tables_and_keep_null_and_unseen_apart(fitted):
    world, encoder, day = fitted
    frame = pd.read_parquet(encode_day(world.config, encoder, day))
    for number, size in enumerate(encoder.sizes):
        assert frame[f"c_{number}"].between(0, size - 1).all()
    item, category = encoder.fields.index("item"), encoder.fields.index("category")
    unseen = frame[f"c_{item}"].between(1, encoder.buckets)
    assert unseen.sum() == 1
    assert (frame[f"c_{category}"] == 0).sum() == 1
    assert frame.loc[frame["category"].isna(), f"c_{category}"].tolist() == [0]


def test_numbers_are_finite_and_standardised_on_the_reference_days(fitted):
    world, encoder, _ = fitted
    frames = [
        pd.read_parquet(encode_day(world.config, encoder, d)) for d in world.config.reference.days
    ]
    numbers = pd.concat(frames)[[f"x_{n}" for n in range(len(encoder.numbers))]].to_numpy()
    assert np.isfinite(numbers).all()
    assert np.abs(numbers.mean(axis=0)).max() < 0.2
    assert numbers.std(axis=0).max() < 1.2


@pytest.mark.slow
@pytest.mark.ci
def test_nan_and_infinities_that_were_let_in_are_read_as_missing(tmp_path):
    world = World(
        tmp_path,
        quality={"severity": {"number_unreadable": "off"}},
        features={"numerical": ["stars"]},
    )
    day, prices, stars = world.day(0), [np.nan, np.inf, -np.inf], [np.inf, 4.0, 5.0]
    table = pa.Table.from_pandas(impressions(day, 300), preserve_index=False)
    for name, first in (("price", prices), ("stars", stars)):
        values = [*first, *np.linspace(1, 9, 297)]
        if name in table.column_names:
            table = table.drop_columns(name)
        table = table.append_column(name, pa.array(values))
    pq.write_table(table, tmp_path / "logs" / f"{day}.parquet", row_group_size=50)
    with Ledger(world.config) as ledger:
        ingest(world.config, ledger, day)
    encoder = fit_encoder(world.config, [day], Workspace(world.config).model / "encoder")
    assert np.isfinite([*encoder.means, *encoder.scales]).all()
    frame = pd.read_parquet(encode_day(world.config, encoder, day))
    for name, missing in (("log_price", 3), ("log_stars", 1)):
        values = frame[f"x_{encoder.numbers.index(name)}"]
        assert np.isfinite(values).all()
        assert (values == 0).sum() == missing


def test_counters_equal_a_plain_computation(fitted):
    world, _, day = fitted
    counters = world.config.features.counters
    past = pd.concat(
        impressions(d).assign(weight=0.5 ** ((day - d).days / counters.half_life_days))
        for d in world.config.reference.days
    )
    overall = (past["click"] * past["weight"]).sum() / past["weight"].sum()
    weights = sum(
        0.5 ** ((day - d).days / counters.half_life_days) for d in world.config.reference.days
    )
    frame = raw(world, day)
    original = impressions(day)
    wanted = original.loc[5]
    row = frame[frame["event_time"] == wanted["event_time"]].iloc[0]
    same = past[past["item_id"] == wanted["item_id"]]
    shown = same["weight"].sum()
    clicks = (same["click"] * same["weight"]).sum()
    rate = (clicks + counters.smoothing * overall) / (shown + counters.smoothing)
    assert row["ctr_item"] == pytest.approx(rate, rel=1e-3)
    assert row["shown_item"] == pytest.approx(math.log1p(shown / weights), rel=1e-3)


def test_a_days_own_labels_do_not_reach_its_numbers(fitted):
    world, encoder, day = fitted
    columns = [f"x_{n}" for n in range(len(encoder.numbers))]
    keys = ["event_time", "user_hash"]
    before = pd.read_parquet(encode_day(world.config, encoder, day)).sort_values(keys)
    flipped = impressions(day)
    flipped["click"] = 1 - flipped["click"]
    flipped["ordered"] = 0
    flipped.loc[0, "item_id"] = "never-seen"
    flipped.loc[1, "category"] = None
    world.write(day, flipped)
    # Else such a day is refused.
    world = World(world.root, quality={"severity": {"domain_click_rate_absurd": "warning"}})
    with Ledger(world.config) as ledger:
        ingest(world.config, ledger, day)
    after = pd.read_parquet(encode_day(world.config, encoder, day)).sort_values(keys)
    assert (before["click"].to_numpy() != after["click"].to_numpy()).all()
    assert np.array_equal(before[columns].to_numpy(), after[columns].to_numpy())


def test_later_days_do_not_reach_earlier_ones(fitted):
    world, encoder, day = fitted
    before = encode_day(world.config, encoder, day).read_bytes()
    later = day + timedelta(days=1)
    world.write(later)
    with Ledger(world.config) as ledger:
        ingest(world.config, ledger, later)
    for path in Workspace(world.config).features.iterdir():
        path.unlink()
    assert encode_day(world.config, encoder, day).read_bytes() == before


def test_days_of_another_format_are_encoded_anew(fitted, monkeypatch):
    world, encoder, day = fitted
    before = encode_day(world.config, encoder, day)
    assert encode_day(world.config, encoder, day) == before
    monkeypatch.setattr(features, "FORMAT", features.FORMAT + 1)
    assert encode_day(world.config, encoder, day) != before


@pytest.mark.slow
@pytest.mark.ci
def test_a_corrected_past_day_changes_the_file(fitted):
    world, encoder, day = fitted
    before = encode_day(world.config, encoder, day)
    first = world.day(0)
    world.write(first, impressions(first, seed=9))
    with Ledger(world.config) as ledger:
        ingest(world.config, ledger, first)
    assert encode_day(world.config, encoder, day) != before


def test_the_first_day_has_no_history(fitted):
    world, encoder, _ = fitted
    frame = pd.read_parquet(encode_day(world.config, encoder, world.day(0)))
    names = number_names(world.config)
    counters = [f"x_{names.index(name)}" for name in counter_columns(world.config)]
    assert (frame[counters] == 0).all().all()


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=30))
@pytest.mark.slow
@pytest.mark.ci
def test_a_value_always_gets_the_same_bucket(text):
    with duckdb.connect() as con:
        (bucket,) = con.execute(
            "SELECT 1 + ('0x' || substr(md5(?), 1, 8))::UINTEGER % 16", [text]
        ).fetchone()
    import hashlib

    digest = hashlib.md5(text.encode("utf-8", "surrogatepass")).hexdigest()
    assert bucket == 1 + int(digest[:8], 16) % 16


def test_history_ends_before_the_day(world):
    days = [world.day(n) for n in range(40)]
    found = history(world.config, days, world.day(35))
    assert found == [world.day(n) for n in range(7, 35)]


@pytest.mark.slow
@pytest.mark.ci
def test_the_data_version_follows_the_content(fitted):
    world, _, day = fitted
    before = Lake.of(world.config).version([day])
    world.write(day, impressions(day, seed=3))
    with Ledger(world.config) as ledger:
        ingest(world.config, ledger, day)
    assert Lake.of(world.config).version([day]) != before
    assert Lake.of(world.config).version([world.day(0)]) != before
