"""Worlds beyond the demo's: parts of the day, volumes, seasons, new items."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from driftune.simulate import SimulationConfig
from driftune.simulate.days import Simulator
from driftune.simulate.events import mood_on
from driftune.simulate.policy import item_shares
from driftune.simulate.response import Impressions, utilities

START = date(2026, 3, 2)


def made(**changes: Any) -> Simulator:
    wanted = {"seed": 3, "start": START, "days": 14, "rows_per_domain": 3000} | changes
    return Simulator.build(SimulationConfig(**wanted))


def test_a_domain_may_be_a_part_of_the_day() -> None:
    world = made(regions=("north",), periods={"lunch": (10, 15), "dinner": (17, 23)})
    assert world.config.domains == [
        "home · north · lunch",
        "home · north · dinner",
        "search · north · lunch",
        "search · north · dinner",
    ]
    rows = world.draw(START).to_pandas()
    assert set(rows["period"]) == {"lunch", "dinner"}
    hours = rows["event_time"].dt.hour
    lunch = rows["period"] == "lunch"
    assert hours[lunch].between(10, 14).all()
    assert hours[~lunch].between(17, 22).all()
    rates = rows.groupby(["scene", "period"], observed=True)["click"].mean()
    assert rates.between(0.1, 0.25).all()
    tastes = world.world.domain_taste
    assert 0.1 < np.abs(tastes[0] - tastes[1]).max() < 2


def test_without_parts_of_the_day_there_is_no_such_column() -> None:
    assert "period" not in made().draw(START).column_names


def test_volumes_are_multiples_of_the_mean() -> None:
    world = made(volumes=(1.0, 4.0), volume_noise=0.0)
    rows = world.draw(START).to_pandas()
    counts = (
        rows.groupby(["scene", "region"], observed=True)
        .size()
        .reindex([tuple(name.split(" · ")) for name in world.config.domains])
    )
    ratio = counts.to_numpy() / (3000 * 0.88)
    assert ratio == pytest.approx([1, 4] * 3, rel=0.1)


def test_seasonality_makes_working_days_and_weekends_alike() -> None:
    world = made(seasonality=0.5)
    likes = [mood_on(world.config, world.world, 0, START + timedelta(n)).liked for n in range(14)]
    monday, friday, saturday, sunday = (likes[n] for n in (0, 4, 5, 6))
    assert (monday == friday).all() and (saturday == sunday).all() and (monday == likes[7]).all()
    assert np.abs(monday - saturday).max() > 0.3
    still = made().config
    assert (
        mood_on(still, world.world, 0, START).liked
        == mood_on(still, world.world, 0, START + timedelta(5)).liked
    ).all()


def test_taste_noise_differs_by_day_and_has_its_size() -> None:
    world = made(taste_noise=0.1, days=200)
    plain = world.world.domain_taste[0]
    moves = [
        mood_on(world.config, world.world, 0, START + timedelta(n)).liked - plain
        for n in range(200)
    ]
    assert np.std(moves) == pytest.approx(0.1, rel=0.1)
    assert abs(np.mean(moves)) < 0.01
    assert np.corrcoef(moves[0], moves[1])[0, 1] != pytest.approx(1)


@pytest.mark.slow
@pytest.mark.ci
def test_items_are_shown_from_their_launch_on_and_more_at_first() -> None:
    world = made(arrivals=0.5)
    launch = {f"i{n:04d}": day for n, day in enumerate(world.world.item_launch)}
    assert 0.4 < np.mean([day > 0 for day in launch.values()]) < 0.6
    seen = []
    for number in range(14):
        rows = world.draw(START + timedelta(number)).to_pandas()
        age = number - rows["item_id"].astype(str).map(launch)
        assert age.min() >= 0
        seen.append(pd.Series(age))
    ages = pd.concat(seen)
    new = pd.Series(list(launch.values()))
    shown = {
        age: (ages == age).sum() / max(1, ((new > 0) & (new + age < 14)).sum()) for age in (0, 8)
    }
    assert shown[0] > 1.3 * shown[8]


@pytest.mark.slow
@pytest.mark.ci
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 1), st.floats(0, 0.5))
def test_shares_and_chances_are_sound_in_any_world(
    seed: int, seasonality: float, arrivals: float
) -> None:
    world = made(seed=seed, seasonality=seasonality, arrivals=arrivals, users=60, items=60)
    mood = mood_on(world.config, world.world, 1, START)
    shares = item_shares(world.world, mood.shown, mood.shown_lift)
    assert shares.sum() == pytest.approx(1)
    assert (shares[world.world.item_launch > 0] == 0).all()
    items = np.arange(60)
    shown = Impressions(items, items, items % 10, items % 24)
    assert all(np.isfinite(each).all() for each in utilities(world.world, mood.liked, shown))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"periods": {"night": (22, 4)}}, "period night: hours 22 to 4"),
        ({"volumes": ()}, "volumes"),
        ({"volumes": (0.0,)}, "volumes"),
        ({"arrivals": 1.0}, "arrivals"),
    ],
)
def test_worlds_that_cannot_be(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        made(**changes)
