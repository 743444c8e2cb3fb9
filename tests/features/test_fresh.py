"""Counters with a lag: every row's figures beside a plain computation over all rows before it."""

import math
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from driftune.config.workspace import Workspace
from driftune.errors import ConfigError
from driftune.features.counters import (
    build_counters,
    counter_columns,
    counter_joins,
    counter_select,
    lake_column,
)
from driftune.features.days import encode_day, encoded_path, fit_encoder
from driftune.features.encoder import load_encoder
from driftune.intake.ingest import ingest
from driftune.lake.duck import connect
from driftune.lake.table import Lake
from driftune.registry.ledger import Ledger
from tests.conftest import REFERENCE_DAYS, World, impressions

DAY = date(2026, 3, 9)
PER = [["item"], ["user", "domain"], ["category"]]
HOUR = 3_600_000_000


def rows_of(day: date, rows: int, step: str, seed: int = 0) -> pd.DataFrame:
    """A day's rows as the lake has them, many at the same time: times are cut to ``step``."""
    rng = np.random.default_rng([seed, day.toordinal()])
    seconds = pd.to_timedelta(rng.integers(0, 86_400, rows), unit="s").floor(step)
    click = rng.random(rows) < 0.3
    return pd.DataFrame(
        {
            "day": day,
            "event_time": pd.Timestamp(day) + seconds,
            "user_id": [f"u{n}" for n in rng.integers(0, 8, rows)],
            "item_id": [f"i{n}" for n in rng.integers(0, 5, rows)],
            "domain_key": rng.choice(["a", "b"], rows),
            "category": rng.choice(["x", "y", None], rows),
            "click": click.astype("int8"),
            "convert": (click & (rng.random(rows) < 0.5)).astype("int8"),
            "row": rng.permutation(rows),
        }
    )


def counted(config, past: pd.DataFrame, rows: pd.DataFrame, threads: int = 2) -> pd.DataFrame:
    """The day's rows with their counters, in the order of ``row``."""
    with connect() as con:
        con.execute(f"SET threads = {threads}")
        con.register("past_frame", past)
        con.register("day_rows", rows)
        build_counters(con, config, "past_frame" if len(past) else None, DAY)
        return con.execute(
            f"SELECT day_rows.row, event_time, {counter_select(config)} "
            f"FROM day_rows {counter_joins(config)} ORDER BY 1"
        ).df()


def plain(config, past: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """The same, row by row over all that is old enough."""
    counters = config.features.counters
    seen = pd.concat([past, rows], ignore_index=True)
    time = seen["event_time"].to_numpy("datetime64[us]").astype(np.int64)
    click, bought = seen["click"].to_numpy(float), seen["convert"].to_numpy(float)
    found = []
    for _, row in rows.sort_values("row").iterrows():
        now = pd.Timestamp(row["event_time"]).to_datetime64().astype("datetime64[us]").astype(int)
        there = time <= now - round(counters.lag_hours * HOUR)
        ages = now // HOUR - time // HOUR
        weight = np.where(there, 0.5 ** (ages / (24 * counters.half_life_days)), 0)
        figures = {"row": row["row"], "event_time": row["event_time"]}
        hours = set(ages[there].tolist())
        days = sum(0.5 ** (age / (24 * counters.half_life_days)) for age in hours) / 24
        total = weight.sum()
        # Conversions of the own day are not known yet.
        settled = weight * (seen["day"] < row["day"]).to_numpy()
        for key in counters.per:
            same = np.ones(len(seen))
            for part in key:
                column = lake_column(part).strip('"')
                # SQL's null is equal to nothing.
                same *= (seen[column] == row[column]).to_numpy() & (row[column] is not None)
            name, shown = "_".join(key), (weight * same).sum()
            figures[f"shown_{name}"] = math.log1p(shown / days) if total else math.nan
            for rate, label, known in (("ctr", click, weight), ("cvr", bought, settled)):
                overall = (known * label).sum() / known.sum() if known.any() else math.nan
                smoothed = (known * same * label).sum() + counters.smoothing * overall
                figures[f"{rate}_{name}"] = smoothed / ((known * same).sum() + counters.smoothing)
        found.append(figures)
    return pd.DataFrame(found)


def world_of(tmp_path, **counters) -> World:
    return World(tmp_path, features={"counters": {"per": PER, "lag_hours": 1, **counters}})


@pytest.mark.parametrize(
    ("counters", "step", "days"),
    [
        ({}, "min", 3),
        # Ties with the lag's end, of rows a whole number of lags apart.
        ({"lag_hours": 0.5, "half_life_days": 1}, "30min", 2),
        ({"lag_hours": 1, "half_life_days": 0.125, "smoothing": 2}, "h", 3),
        # Days of their own are not seen at all, and of the day before a part.
        ({"lag_hours": 30, "half_life_days": 2}, "min", 4),
        ({"lag_hours": 1}, "s", 0),
        ({"lag_hours": 5}, "D", 2),
    ],
)
@pytest.mark.few(2)
def test_every_row_has_the_figures_of_a_plain_computation(tmp_path, counters, step, days) -> None:
    config = world_of(tmp_path, **counters).config
    frames = [rows_of(DAY - timedelta(days=back + 1), 150, step) for back in range(days)]
    past = pd.concat(frames) if frames else rows_of(DAY, 0, step)
    rows = rows_of(DAY, 300, step)
    found, wanted = counted(config, past, rows), plain(config, past, rows)
    assert found["row"].tolist() == wanted["row"].tolist()
    for name in counter_columns(config):
        np.testing.assert_allclose(
            found[name].to_numpy(float), wanted[name].to_numpy(float), rtol=2e-5, atol=1e-6
        )
    assert found["ctr_item"].nunique() >= 5


def test_labels_younger_than_the_lag_reach_no_row(tmp_path) -> None:
    config = world_of(tmp_path, lag_hours=2).config
    past, rows = rows_of(DAY - timedelta(days=1), 200, "min"), rows_of(DAY, 300, "min")
    instant = pd.Timestamp(DAY) + pd.Timedelta(hours=13)
    changed = rows.copy()
    newer = changed["event_time"] > instant
    changed.loc[newer, ["click", "convert"]] = 1 - changed.loc[newer, ["click", "convert"]]
    one, other = counted(config, past, rows), counted(config, past, changed)
    reached = (one != other).any(axis=1) & ~(one.isna() & other.isna()).any(axis=1)
    assert one.loc[reached, "event_time"].min() > instant + pd.Timedelta(hours=2)
    assert reached.sum() > 50


def test_conversions_of_the_own_day_reach_no_row(tmp_path) -> None:
    # An order comes when it comes, and is delivered with the day of its impression.
    config = world_of(tmp_path).config
    past, rows = rows_of(DAY - timedelta(days=1), 200, "min"), rows_of(DAY, 300, "min")
    changed = rows.assign(convert=rows["click"] - rows["convert"])
    assert (changed["convert"] != rows["convert"]).sum() > 50
    found = counted(config, past, rows)
    assert found.equals(counted(config, past, changed))
    ordered = past.assign(convert=past["click"])
    later = counted(config, ordered, rows)
    assert (later["cvr_item"] > found["cvr_item"]).all()
    assert later["ctr_item"].equals(found["ctr_item"])


@pytest.mark.slow
@pytest.mark.ci
def test_threads_and_the_order_of_rows_change_no_bit(tmp_path) -> None:
    config = world_of(tmp_path).config
    past, rows = rows_of(DAY - timedelta(days=1), 9_000, "s"), rows_of(DAY, 9_000, "s")
    one = counted(config, past, rows, threads=1)
    mixed = rows.sample(frac=1, random_state=3), past.sample(frac=1, random_state=4)
    pd.testing.assert_frame_equal(one, counted(config, mixed[1], mixed[0], threads=4), rtol=0)
    assert one.equals(counted(config, mixed[1], mixed[0], threads=4))


def test_a_day_without_rows_has_no_figures(tmp_path) -> None:
    config = world_of(tmp_path).config
    assert counted(config, rows_of(DAY - timedelta(days=1), 50, "s"), rows_of(DAY, 0, "s")).empty


@pytest.mark.slow
@pytest.mark.ci
def test_encoded_days_follow_the_lag_and_the_day_itself(tmp_path) -> None:
    world = World(tmp_path).with_reference()
    day = world.day(REFERENCE_DAYS - 1)
    folder = Workspace(world.config).model / "encoder"
    with Ledger(world.config) as ledger:
        for reference in world.config.reference.days:
            ingest(world.config, ledger, reference)
        plainly = fit_encoder(world.config, world.config.reference.days, folder)
        before = encoded_path(world.config, plainly, day, Lake.of(world.config))
        lagged = world_of(tmp_path, per=world.config.features.counters.per)
        encoder = fit_encoder(lagged.config, lagged.config.reference.days, folder)
        assert encoder.fingerprint != plainly.fingerprint
        file = encode_day(lagged.config, load_encoder(folder), day)
        assert file != before
        first = file.read_bytes()
        file.unlink()
        assert encode_day(lagged.config, encoder, day).read_bytes() == first
        # Rows of the day that come later are other contents.
        lagged.write(day, impressions(day, 1_300))
        ingest(lagged.config, ledger, day)
        assert encoded_path(lagged.config, encoder, day, Lake.of(lagged.config)) != file


def test_without_a_lag_encoders_and_days_are_named_as_before(tmp_path) -> None:
    counters = World(tmp_path).config.features.counters
    assert "lag_hours" not in counters.model_dump_json()
    assert "lag_hours" not in counters.model_dump(mode="json")
    assert "lag_hours" not in counters.model_dump(exclude_unset=True)
    assert world_of(tmp_path).config.features.counters.model_dump()["lag_hours"] == 1


@pytest.mark.parametrize(
    ("counters", "told"),
    [
        ({"lag_hours": 0}, "features.counters.lag_hours"),
        ({"half_life_days": 0.1}, "half_life_days = 0.1 must be at least 0.125"),
        ({"lag_hours": 48, "history_days": 2}, "lag_hours = 48 reaches beyond history_days = 2"),
    ],
)
def test_a_lag_that_cannot_be_is_one_line(tmp_path, counters, told) -> None:
    with pytest.raises(ConfigError, match=told) as error:
        _ = world_of(tmp_path, **counters).config
    assert "\n" not in str(error.value)


def test_a_lag_shorter_than_labels_take_is_refused(tmp_path) -> None:
    changed = {"features": {"counters": {"lag_hours": 1}}, "gate": {"label_delay_hours": 6}}
    with pytest.raises(ConfigError, match=r"lag_hours = 1 is shorter than gate.label_delay_hours"):
        _ = World(tmp_path, **changed).config
