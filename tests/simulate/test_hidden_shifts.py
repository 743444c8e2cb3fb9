"""Shifts beside the tastes over categories, and days that wander: what moves, and what stays."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from driftune.simulate import Event, SimulationConfig
from driftune.simulate.days import Simulator
from driftune.simulate.events import mood_on, strength, turning
from driftune.simulate.response import user_shares

START = date(2026, 3, 2)
DAY = START + timedelta(3)
HOME = "home · north"
TASTES: dict[str, Any] = {"favour": ("coffee", "breakfast"), "against": ("noodles", "curry")}
HIDDEN: dict[str, dict[str, Any]] = {
    "segment": TASTES, "price": {}, "position": {}, "item_age": {},
}  # fmt: skip


def simulator(*events: Event, **settings: Any) -> Simulator:
    own = {"seed": 5, "start": START, "days": 8, "rows_per_domain": 1500, "users": 400}
    own |= {"scenes": ("home",), "regions": ("north", "harbour"), "segments": 4, **settings}
    return Simulator.build(SimulationConfig.model_validate(own | {"events": events}))


def planted(kind: str, size: float = 1.0, **own: Any) -> Event:
    return Event(domain=HOME, day=DAY, kind=kind, size=size, **own)


@pytest.mark.parametrize("kind", HIDDEN)
@pytest.mark.few(1)
def test_hidden_shifts_move_clicks_and_neither_traffic_nor_tastes_by_category(kind: str) -> None:
    made, plain = simulator(planted(kind, **HIDDEN[kind])), simulator()
    assert made.draw(DAY - timedelta(1)).equals(plain.draw(DAY - timedelta(1)))
    (logs, truth), (before, usual) = (each.draw_with_truth(DAY) for each in (made, plain))
    for column in ("user_id", "item_id", "position", "event_time", "propensity", "region"):
        assert logs[column].equals(before[column]), column
    assert (mood_on(made.config, made.world, 0, DAY).liked == mood_on(
        plain.config, plain.world, 0, DAY).liked).all()  # fmt: skip
    moved = np.log(truth["click_probability"].to_numpy() / usual["click_probability"].to_numpy())
    home = np.array(logs["region"].to_pylist()) == "north"
    assert (moved[~home] == 0).all()
    assert moved[home].std() > 0.1
    # The domain clicks about as often as before.
    assert abs(np.average(moved[home], weights=usual["click_probability"].to_numpy()[home])) < 0.15


def test_one_segment_turns_and_the_others_turn_the_other_way() -> None:
    made = simulator(planted("segment", **TASTES))
    twist = mood_on(made.config, made.world, 0, DAY).twist
    assert twist is not None
    assert twist.by_user is not None
    own = made.world.user_segment == turning(made.config, 0)
    coffee = made.config.categories.index("coffee")
    assert (twist.by_user[own, coffee] > 0).all()
    assert (twist.by_user[~own, coffee] < 0).all()
    visits = user_shares(made.world, 0)
    assert visits @ twist.by_user == pytest.approx(np.zeros(8), abs=1e-12)


def test_prices_are_minded_less_positions_count_more_and_new_items_are_liked() -> None:
    plain = simulator()
    usual = plain.draw_with_truth(DAY)[1]["click_probability"].to_numpy()
    for kind, size, column in (("price", 0.5, "price"), ("position", 1.0, "position")):
        logs, truth = simulator(planted(kind, size)).draw_with_truth(DAY)
        moved = np.log(truth["click_probability"].to_numpy() / usual)
        high = logs[column].to_numpy() > np.median(logs[column].to_numpy())
        gained = moved[high].mean() - moved[~high].mean()
        assert gained > 0.03 if kind == "price" else gained < -0.03
    made = simulator(planted("item_age"))
    lift, before = mood_on(made.config, made.world, 0, DAY).liked_lift, made.world.item_before
    assert lift[before < 5].min() > 0 > lift[before > 100].max()


def test_a_shock_lasts_a_day_and_a_creep_costs_the_same_each_day() -> None:
    days = [DAY + timedelta(n) for n in range(-1, 5)]
    assert [strength(planted("shock", **TASTES), day) for day in days] == [0, 1, 0, 0, 0, 0]
    creep = planted("creep", over=4, **TASTES)
    assert np.square([strength(creep, day) for day in days]) == pytest.approx(
        [0, 0.25, 0.5, 0.75, 1, 1]
    )


def test_segments_have_tastes_of_their_own() -> None:
    plain, made = simulator(segments=3), simulator(segments=3, segment_taste=0.8)
    added = made.world.user_taste - plain.world.user_taste
    for segment in range(3):
        own = added[made.world.user_segment == segment]
        assert own == pytest.approx(np.tile(own[0], (len(own), 1)), abs=1e-12)
    assert added.std() > 0.3


def wander(days: int = 400, **settings: float) -> np.ndarray:
    """What two domains' tastes wander to, (days, 2 domains, categories)."""
    made = simulator(**settings)
    still = [made.world.domain_taste[domain] for domain in range(2)]
    return np.array(
        [
            [mood_on(made.config, made.world, n, START + timedelta(day)).liked - still[n]
             for n in range(2)]
            for day in range(days)
        ]
    )  # fmt: skip


@pytest.mark.parametrize("kept", [0.0, 0.9])
def test_tastes_wander_with_the_configured_spread_and_memory(kept: float) -> None:
    found = wander(taste_noise=0.2, taste_persistence=kept)
    assert found.std() == pytest.approx(0.2, rel=0.15)
    flat = found.reshape(len(found), -1)
    memory = (flat[1:] * flat[:-1]).mean() / np.square(flat).mean()
    assert memory == pytest.approx(kept, abs=0.08)
    # Each domain for itself.
    assert abs(np.corrcoef(found[:, 0].ravel(), found[:, 1].ravel())[0, 1]) < 0.25


def test_common_noise_is_the_same_in_all_domains() -> None:
    found = wander(40, common_noise=0.3)
    assert found[:, 0] == pytest.approx(found[:, 1])
    assert found.std() == pytest.approx(0.3, rel=0.2)


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("segment", {}, "kind segment needs favour"),
        ("price", {"favour": ("coffee",)}, "kind price has no favour"),
        ("position", {"over": 3}, "kind position has no over"),
        ("creep", TASTES, "kind creep needs over"),
    ],
)
def test_settings_that_do_not_fit_hidden_kinds(
    kind: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        planted(kind, **changes)


def test_a_segment_event_needs_segments() -> None:
    with pytest.raises(ValidationError, match="needs segments of 2 or more, got 0"):
        simulator(planted("segment", **TASTES), segments=0)
