"""Evidence since promotion: each look, its error rate however often it is taken, its power."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import halfnorm, norm

from driftune.config.guard import Guard
from driftune.guard.evidence import Reading, always_valid_p, weigh

POLICY = Guard()
DAYS, CHAMPIONS = 60, 2000


def rule_of(*z: float, policy: Guard = POLICY) -> str | None:
    """The look that finds a champion worse on days with these z-scores; None when none does."""
    found = weigh([Reading(0.01 * each, 0.01) for each in z], policy)
    return found.rule if found.verdict == "worse" else None


def test_one_day_suffices_when_it_is_overwhelming() -> None:
    assert rule_of(-3.8) == "one day"
    assert rule_of(-3.6) is None
    assert rule_of(-3.8, 0) is None


def test_weaker_days_must_repeat_within_the_span() -> None:
    assert rule_of(4, 4, -2.5) is None
    assert rule_of(4, 4, -2.5, -2.5) == "several days"
    assert rule_of(4, 4, -2.5, 1, -2.5) == "several days"
    assert rule_of(4, 4, -2.5, 1, 1, -2.5) is None
    assert rule_of(4, 4, -2.5, -2.5, 1) is None


def test_many_days_none_of_which_says_enough_add_up() -> None:
    assert rule_of(*[-1.2] * 3) is None
    assert rule_of(*[-1.2] * 20) == "since promotion"
    assert rule_of(*[1.2] * 20) is None


def test_a_good_start_does_not_hide_what_came_after() -> None:
    assert rule_of(*[3.0] * 20, *[-1.6] * 12) == "since promotion"


def test_a_champion_that_scores_as_the_other_does_is_not_worse() -> None:
    found = weigh([Reading(0.0, 0.0)] * 9, POLICY)
    assert (found.verdict, found.rule) == ("holds", "same scores")
    assert weigh([Reading(0.0, 0.0), Reading(-0.05, 0.01)], POLICY).rule == "one day"


@given(st.lists(st.tuples(st.floats(-0.05, 0.05), st.floats(0.002, 0.05)), min_size=1, max_size=12))
def test_days_are_pooled_by_inverse_variance(days: list[tuple[float, float]]) -> None:
    found = weigh([Reading(*each) for each in days], POLICY)
    estimates, errors = np.array(days).T
    assert found.pooled == pytest.approx(np.average(estimates, weights=errors**-2.0), abs=1e-12)
    assert found.pooled_error == pytest.approx(1 / np.sqrt((errors**-2.0).sum()))


@pytest.mark.slow
@pytest.mark.ci
@given(st.floats(-0.05, 0.05), st.floats(0.003, 0.03))
def test_the_odds_are_those_of_the_half_normal_mixture(estimate: float, error: float) -> None:
    def odds(loss: float) -> float:
        likely = norm.logpdf(estimate, -loss, error) - norm.logpdf(estimate, 0, error)
        return float(np.exp(likely) * halfnorm.pdf(loss, scale=0.01))

    # The loss began on this first day with a weight of a half, or will begin later.
    mixed = (quad(odds, 0, 0.2, points=[max(-estimate, 0.001)], limit=200)[0] + 1) / 2
    p = always_valid_p(np.array([estimate]), np.array([error**-2.0]), 0.01)
    assert p == pytest.approx(min(1, 1 / mixed), rel=1e-4)


def taken_back(true: float, error: float, policy: Guard = POLICY) -> float:
    """Share of champions that some look takes back within the days."""
    rng = np.random.default_rng(3)
    count = 0
    for estimates in rng.normal(true, error, (CHAMPIONS // 10, DAYS)):
        days = [Reading(float(each), error) for each in estimates]
        count += any(weigh(days[: n + 1], policy).verdict == "worse" for n in range(DAYS))
    return count / (CHAMPIONS // 10)


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("error", [0.003, 0.02])
def test_the_look_at_all_days_keeps_its_error_rate_however_often_it_is_taken(error: float) -> None:
    rng = np.random.default_rng(5)
    weights = np.full(DAYS, error**-2.0)
    draws = rng.normal(0, error, (CHAMPIONS, DAYS))
    least = [
        min(always_valid_p(each[:n], weights[:n], 0.01) for n in range(5, DAYS, 5))
        for each in draws
    ]
    assert np.mean(np.array(least) <= 0.05) <= 0.05


@pytest.mark.slow
@pytest.mark.ci
def test_equal_champions_stay_and_worse_ones_go() -> None:
    assert taken_back(0.0, 0.01) <= 0.06
    assert taken_back(0.005, 0.01) <= 0.01
    assert taken_back(-0.01, 0.01) >= 0.99
