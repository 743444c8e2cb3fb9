"""The split by time: what trains, chooses and judges; nothing of the gate reaches training."""

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from driftune.adaptation.split import Split, rows_since, split_rows
from driftune.errors import LakeError
from driftune.features.days import encode_day
from driftune.lake.table import Lake
from driftune.training.pretrain import load_model
from driftune.training.rows import load_rows
from tests.conftest import World, impressions
from tests.crowning import DOMAIN, KEY, bring, pending, split_of, train

PARTS = ("train", "select", "gate")


@pytest.fixture
def day(trained_world: World) -> date:
    """The day after the reference days, in the lake; other labels do not keep its domains out."""
    World(trained_world.root, quality={"severity": {"domain_click_rate_absurd": "warning"}})
    return bring(trained_world, trained_world.day(3))


def instant(moment: int) -> pd.Timestamp:
    return pd.Timestamp(np.datetime64(int(moment), "us"))


def frame_of(day: date, change: Callable[[pd.DataFrame], pd.Series]) -> pd.DataFrame:
    """The day as it was, with other labels where ``change`` says so, in the domain alone."""
    frame = impressions(day, 2400)
    there = (frame["scene"] + " · " + frame["region"] == DOMAIN) & change(frame)
    assert there.any()
    frame.loc[there, "click"] = 1 - frame.loc[there, "click"]
    frame.loc[there, "ordered"] = 0
    return frame


def same_features(one: Split, other: Split, parts: tuple[str, ...] = PARTS) -> bool:
    pairs = [(getattr(one, part), getattr(other, part)) for part in parts]
    return all(
        np.array_equal(a.ids, b.ids) and np.array_equal(a.numbers, b.numbers) for a, b in pairs
    )


def delayed(world: World, hours: float) -> None:
    text = world.params.read_text()
    world.params.write_text(text.replace("label_delay_hours: 0", f"label_delay_hours: {hours}"))


def test_rows_are_split_by_time_and_the_gate_has_the_newest_of_the_day(
    trained_world: World, day: date
) -> None:
    split = split_of(trained_world, day)
    assert split.train.time.max() < split.select.time.min()
    assert split.select.time.max() < split.gate.time.min()
    assert instant(split.gate.time.min()).date() == day
    share = len(split.gate) / split.day_rows
    assert share == pytest.approx(trained_world.config.adapter.gate_share, abs=0.01)
    assert set(split.gate.domain_key) == {KEY}
    recorded = split.spans()
    assert pd.Timestamp(recorded.gate.first) == instant(split.gate.time.min())
    assert {name: part.rows for name, part in recorded.parts()} == {
        name: len(getattr(split, name)) for name in PARTS
    }


def test_labels_of_gate_rows_reach_neither_training_nor_selection_nor_the_day_s_features(
    trained_world: World, day: date
) -> None:
    before = split_of(trained_world, day)
    made = train(trained_world, pending(trained_world, day))
    begins = instant(before.gate.time.min())
    bring(trained_world, day, frame_of(day, lambda rows: rows["event_time"] >= begins))
    after = split_of(trained_world, day)
    assert np.array_equal(after.gate.click, 1 - before.gate.click)
    for part in ("train", "select"):
        assert np.array_equal(getattr(before, part).click, getattr(after, part).click)
    assert same_features(before, after)
    assert train(trained_world, pending(trained_world, day)) == made


@pytest.mark.slow
@pytest.mark.ci
def test_labels_of_training_rows_do_reach_training(trained_world: World, day: date) -> None:
    made = train(trained_world, pending(trained_world, day))
    chosen = instant(split_of(trained_world, day).select.time.min())
    bring(trained_world, day, frame_of(day, lambda rows: rows["event_time"] < chosen))
    assert train(trained_world, pending(trained_world, day)) != made


@pytest.mark.slow
@pytest.mark.ci
def test_no_label_of_the_day_reaches_the_day_s_own_features(
    trained_world: World, day: date
) -> None:
    before = split_of(trained_world, day)
    bring(trained_world, day, frame_of(day, lambda rows: rows["click"] >= 0))
    after = split_of(trained_world, day)
    assert not np.array_equal(before.gate.click, after.gate.click)
    assert same_features(before, after)


@pytest.mark.slow
@pytest.mark.ci
def test_rows_of_one_instant_stay_together(trained_world: World) -> None:
    chosen = trained_world.day(3)
    frame = impressions(chosen, 2400)
    frame["event_time"] = frame["event_time"].dt.floor("2h")
    bring(trained_world, chosen, frame)
    split = split_of(trained_world, chosen)
    instants = [set(getattr(split, part).time.tolist()) for part in PARTS]
    assert all(instants)
    assert sum(map(len, instants)) == len(set.union(*instants))
    least = trained_world.config.adapter.gate_share * split.day_rows
    assert least <= len(split.gate) < least + split.day_rows / 12 * 1.5


@pytest.mark.slow
@pytest.mark.ci
def test_immature_labels_count_on_later_days_alone(trained_world: World, day: date) -> None:
    whole = split_of(trained_world, day)
    delayed(trained_world, 6)
    before = split_of(trained_world, day)
    limit = pd.Timestamp(day) + timedelta(hours=18)
    assert instant(before.gate.time.max()) < limit
    assert before.gate.time.max() > whole.train.time.max()
    made = train(trained_world, pending(trained_world, day))
    bring(trained_world, day, frame_of(day, lambda rows: rows["event_time"] >= limit))
    after = split_of(trained_world, day)
    for part in PARTS:
        assert np.array_equal(getattr(before, part).click, getattr(after, part).click)
    assert same_features(before, after)
    assert train(trained_world, pending(trained_world, day)) == made

    following = bring(trained_world, trained_world.day(4))
    encoder, _, _ = load_model(trained_world.config)
    begins = before.spans().gate.first
    config, view = trained_world.config, Lake.of(trained_world.config)
    later = rows_since(config, encoder, KEY, begins, following, view)
    first = rows_since(config, encoder, KEY, begins, day, view)
    assert np.array_equal(first.time, before.gate.time)
    files = [encode_day(config, encoder, each) for each in (day, following)]
    rows = load_rows(encoder, files, KEY)
    until = np.datetime64(pd.Timestamp(following) + timedelta(hours=18), "us").astype("int64")
    wanted = (rows.time >= before.gate.time.min()) & (rows.time < until)
    assert np.array_equal(later.time, rows.time[wanted])
    assert np.array_equal(later.click, rows.click[wanted])
    assert later.time.max() > np.datetime64(limit, "us").astype("int64")


def test_labels_that_mature_after_days_move_the_whole_window(
    trained_world: World, day: date
) -> None:
    plain = split_of(trained_world, trained_world.day(2))
    delayed(trained_world, 24)
    moved = split_of(trained_world, day)
    assert moved.spans() == plain.spans()


def test_too_few_rows_are_one_line(trained_world: World, day: date) -> None:
    with pytest.raises(LakeError, match="are too few to train on and judge"):
        split_rows(trained_world.config, load_model(trained_world.config)[0], "no domain", day)


def test_rows_since_the_drift_are_a_window_of_their_own_and_all_windows_are_judged_alike(
    trained_world: World, day: date
) -> None:
    def cut(since: date | None) -> Split:
        encoder = load_model(trained_world.config)[0]
        return split_rows(trained_world.config, encoder, KEY, day, since)

    usual, today = cut(None), cut(day)
    assert len(usual.windows) == 1
    longest, newest = today.windows
    assert instant(newest.time.min()).date() == day
    assert instant(longest.time.min()) == instant(usual.train.time.min())
    assert longest.time.max() == newest.time.max() < today.select.time.min()
    assert np.array_equal(today.gate.time, usual.gate.time)
    # Selection takes its share of the shortest window.
    both = len(newest) + len(today.select)
    share = trained_world.config.adapter.select_share
    assert len(today.select) == pytest.approx(share * both, abs=1)


def test_an_older_drift_widens_the_window_up_to_a_limit(trained_world: World, day: date) -> None:
    text = trained_world.params.read_text()
    short = text.replace("train_days: 3", "train_days: 1").replace("drift_days: 7", "drift_days: 3")
    trained_world.params.write_text(short)
    encoder = load_model(trained_world.config)[0]
    for back, days in ((1, 2), (2, 3), (3, 3)):
        split = split_rows(trained_world.config, encoder, KEY, day, day - timedelta(days=back))
        (window,) = split.windows
        assert instant(window.time.min()).date() == day - timedelta(days=days - 1)


def test_too_few_rows_since_the_drift_are_no_window(trained_world: World, day: date) -> None:
    text = trained_world.params.read_text()
    trained_world.params.write_text(text.replace("batch_size: 256", "batch_size: 4096"))
    encoder = load_model(trained_world.config)[0]
    assert len(split_rows(trained_world.config, encoder, KEY, day, day).windows) == 1
