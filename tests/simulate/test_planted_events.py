"""Planted events: when they are in force, and what of a domain they move."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from driftune.simulate import Event, SimulationConfig, simulate
from driftune.simulate.days import Simulator
from driftune.simulate.events import mood_on, strength, surging

START = date(2026, 3, 2)
DAY = START + timedelta(3)
HOME, OTHER = "home · north", "search · north"
SHIFT = {"favour": ("coffee", "breakfast"), "against": ("noodles", "curry")}
KINDS: dict[str, dict[str, Any]] = {
    "abrupt": SHIFT,
    "gradual": {**SHIFT, "over": 4},
    "recurring": {**SHIFT, "every": 4, "length": 2},
    "surge": {"favour": ("coffee",), "length": 2, "items": 5},
    "label_only": SHIFT,
    "traffic_only": SHIFT,
}


def event(kind: str, **changes: Any) -> Event:
    return Event(**{"domain": HOME, "day": DAY, "kind": kind, **KINDS[kind], **changes})


def simulator(*events: Event, rows: int = 12_000) -> Simulator:
    return Simulator.build(
        SimulationConfig(seed=5, start=START, days=14, rows_per_domain=rows, events=events)
    )


def drawn(made: Simulator, day: date, domain: str = HOME) -> pd.DataFrame:
    """A day's rows of one domain, with their true probabilities."""
    logs, truth = made.draw_with_truth(day)
    frame = pd.concat([logs.to_pandas(), truth.to_pandas()], axis=1)
    return frame[frame["scene"].astype(str) + " · " + frame["region"].astype(str) == domain]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("abrupt", [0, 1, 1, 1, 1, 1, 1]),
        ("gradual", [0, 0.25, 0.5, 0.75, 1, 1, 1]),
        ("recurring", [0, 1, 1, 0, 0, 1, 1]),
        ("surge", [0, 1, 1, 0, 0, 0, 0]),
        ("label_only", [0, 1, 1, 1, 1, 1, 1]),
        ("traffic_only", [0, 1, 1, 1, 1, 1, 1]),
    ],
)
def test_an_event_is_in_force_when_its_kind_says(kind: str, expected: list[float]) -> None:
    days = [DAY + timedelta(n) for n in range(-1, 6)]
    assert [strength(event(kind), day) for day in days] == expected


@pytest.mark.few(1)
@pytest.mark.parametrize("kind", KINDS)
def test_an_event_moves_its_own_domain_alone_and_from_its_day_on(kind: str) -> None:
    made, plain = simulator(event(kind), rows=500), simulator(rows=500)
    assert made.draw(DAY - timedelta(1)).equals(plain.draw(DAY - timedelta(1)))
    assert not made.draw(DAY).equals(plain.draw(DAY))
    pd.testing.assert_frame_equal(
        drawn(made, DAY, OTHER).drop(columns="request_id").reset_index(drop=True),
        drawn(plain, DAY, OTHER).drop(columns="request_id").reset_index(drop=True),
    )


@pytest.mark.slow
@pytest.mark.ci
def test_labels_alone_leave_what_is_shown() -> None:
    made, plain = simulator(event("label_only")), simulator()
    moved, before = drawn(made, DAY), drawn(plain, DAY)
    for column in ("user_id", "item_id", "position", "event_time", "propensity"):
        assert (moved[column].to_numpy() == before[column].to_numpy()).all()
    coffee = (before["category"] == "coffee").to_numpy()
    ratio = moved["click_probability"].to_numpy() / before["click_probability"].to_numpy()
    assert ratio[coffee].min() > 1
    assert ratio[(before["category"] == "noodles").to_numpy()].max() < 1


@pytest.mark.slow
@pytest.mark.ci
def test_traffic_alone_leaves_what_is_liked() -> None:
    made, plain = simulator(event("traffic_only")), simulator()
    moods = [mood_on(each.config, each.world, 0, DAY) for each in (made, plain)]
    assert (moods[0].liked == moods[1].liked).all()
    shares = [(drawn(each, DAY)["category"] == "coffee").mean() for each in (made, plain)]
    assert shares[0] > 1.2 * shares[1]


def test_a_surge_lifts_some_items_of_the_favoured_category() -> None:
    made, plain = simulator(event("surge")), simulator()
    items = surging(made.config, made.world, 0)
    names = {f"i{item:04d}" for item in items}
    assert len(names) == 5
    coffee = made.config.categories.index("coffee")
    assert set(made.world.item_category[items]) == {coffee}
    counts, rates = [], []
    for each in (made, plain):
        rows = drawn(each, DAY)
        own = rows["item_id"].isin(names)
        counts.append(int(own.sum()))
        rates.append(rows.loc[own, "click_probability"].mean())
    assert counts[0] > 3 * counts[1]
    assert rates[0] > 1.5 * rates[1]


@pytest.mark.few(1)
@pytest.mark.parametrize("kind", KINDS)
def test_labels_follow_the_true_probabilities(kind: str) -> None:
    rows = drawn(simulator(event(kind), rows=40_000), DAY)
    clicked = rows[rows["click"] == 1]
    for labels, truth in (
        (rows["click"], rows["click_probability"]),
        (clicked["ordered"], clicked["order_probability"]),
    ):
        variance = float((truth * (1 - truth)).sum())
        assert abs(float(labels.sum() - truth.sum())) < 4 * np.sqrt(variance)


def test_true_probabilities_lie_beside_the_rows(tmp_path: Path) -> None:
    config = SimulationConfig(seed=5, start=START, days=2, rows_per_domain=300)
    paths = simulate(config, tmp_path / "logs", truth=tmp_path / "truth")
    files = sorted((tmp_path / "truth").iterdir())
    assert [file.name for file in files] == ["truth-2026-03-02.parquet", "truth-2026-03-03.parquet"]
    for logs, truth in zip(paths, files, strict=True):
        assert len(pd.read_parquet(logs)) == len(pd.read_parquet(truth))
        assert "click_probability" not in pd.read_parquet(logs)


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("gradual", {"over": None}, "kind gradual needs over"),
        ("recurring", {"every": None}, "kind recurring needs every"),
        ("recurring", {"length": 4}, "length 4 must be less than every 4"),
        ("surge", {"items": None}, "kind surge needs items"),
        ("surge", {"against": ("curry",)}, "kind surge has no against"),
        ("abrupt", {"over": 3}, "kind abrupt has no over"),
        ("abrupt", {"against": ()}, "kind abrupt needs against"),
    ],
)
def test_settings_that_do_not_fit_the_kind(kind: str, changes: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        event(kind, **changes)
