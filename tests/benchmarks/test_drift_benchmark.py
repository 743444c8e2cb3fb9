"""The drift benchmarks' yardsticks: the oracle's power, and AUC in expectation."""

from datetime import date, timedelta

import numpy as np
import pytest

from benchmarks.drift_report import Shift
from benchmarks.drift_shifts import HIDDEN, Scenario, expected_auc, oracle_power
from driftune.evaluation.metrics import auc
from driftune.simulate.settings import Event, SimulationConfig

DAY = date(2026, 3, 4)


def world(kind: str | None = None, size: float = 1.0) -> SimulationConfig:
    config = SimulationConfig(
        start=date(2026, 3, 2), days=3, rows_per_domain=2000, users=500, taste_noise=0.05
    )
    if kind is None:
        return config
    event = Event.model_validate(
        {
            "domain": config.domains[0],
            "day": DAY,
            "kind": kind,
            "size": size,
            "favour": config.categories[:2],
            "against": config.categories[2:4],
        }
    )
    return config.model_copy(update={"events": (event,)})


def test_oracle_sees_a_change_of_tastes_where_it_is_planted_only() -> None:
    power = oracle_power(world(), world("abrupt"), DAY)
    assert power[0] > 0.99
    assert power[1:] == pytest.approx([0.01] * (len(power) - 1), abs=1e-4)


def test_oracle_sees_nothing_where_only_traffic_changes() -> None:
    assert oracle_power(world(), world("traffic_only"), DAY)[0] == pytest.approx(0.01, abs=1e-4)


def test_oracle_is_weaker_for_a_smaller_change() -> None:
    powers = [oracle_power(world(), world("label_only", size), DAY)[0] for size in (0.1, 0.2, 0.4)]
    assert powers == sorted(powers)
    assert 0.01 < powers[0] < 0.5


def test_expected_auc_is_the_mean_over_drawn_labels() -> None:
    random = np.random.default_rng(3)
    p, scores = random.uniform(0.05, 0.4, 2000), random.integers(0, 50, 2000).astype(float)
    drawn = [auc(random.random(2000) < p, scores) for _ in range(200)]
    assert expected_auc(p, scores) == pytest.approx(np.mean(drawn), abs=0.003)


@pytest.mark.parametrize("kind", HIDDEN)
def test_oracle_sees_what_moves_off_the_categories(kind: str) -> None:
    one = {"scenes": ("home",), "regions": ("north",)}
    base = world().model_copy(update={"segments": 4, "arrivals": 0.1, **one})
    shifted = Scenario(kind, DAY, (1.5,) * len(base.domains), 1).settings(base)
    assert {event.kind for event in shifted.events} == {kind}
    assert min(oracle_power(base, shifted, DAY)) > 0.5


def test_a_creep_is_in_full_force_on_its_last_day() -> None:
    creep = Scenario("creep", DAY, (1.0,) * 6, 1, over=4, after=1)
    assert creep.full == DAY + timedelta(3)
    assert creep.days == [DAY + timedelta(n) for n in range(4)]
    base = SimulationConfig(start=DAY - timedelta(2), days=9)
    (event, *_) = creep.settings(base).events
    assert (event.kind, event.over) == ("creep", 4)


def shift(states: str, before: int = 0) -> Shift:
    names = {"s": "stable", "d": "drifted"}
    return Shift(
        "gradual",
        10,
        0.02,
        2000,
        1.0,
        before,
        [names[each] for each in states],
        [0.0] * len(states),
    )


def test_a_shift_is_caught_by_the_end_of_its_full_days() -> None:
    assert shift("dss").caught(1)
    assert not shift("ssd").caught(2)
    assert shift("ssd").caught(3)
    # Days before the first full one count as early, never as late.
    assert shift("ssds", before=2).caught(1)
    assert not shift("sssd", before=2).caught(1)
