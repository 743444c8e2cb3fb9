"""The drift benchmarks' yardsticks: the oracle's power, and AUC in expectation."""

from datetime import date

import numpy as np
import pytest

from benchmarks.drift_shifts import expected_auc, oracle_power
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
