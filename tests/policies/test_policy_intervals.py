"""Intervals over domains: what is drawn, what they cover, and of what there is a share."""

import numpy as np
import pytest

from driftune.policies.intervals import drawn_weights, mean_interval, share_interval


def test_a_domain_is_drawn_with_all_its_days() -> None:
    domains = ["a", "a", "a", "b", "b", "c"]
    weights = drawn_weights([""] * 6, domains, seed=1, resamples=300)
    assert weights.shape == (300, 6)
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 3] == weights[:, 4]).all()
    # Three domains a draw, each as often as any other.
    assert (weights[:, [0, 3, 5]].sum(axis=1) == 3).all()
    assert weights[:, [0, 3, 5]].mean(axis=0) == pytest.approx([1, 1, 1], abs=0.15)


def test_worlds_are_drawn_before_their_domains() -> None:
    worlds, domains = ["one"] * 2 + ["two"] * 2, ["a", "b", "a", "b"]
    weights = drawn_weights(worlds, domains, seed=1, resamples=400)
    assert (weights.sum(axis=1) == 4).all()
    # Both from one world, half of the time; never with independent domains of equal names.
    apart = (weights[:, :2].sum(axis=1) == 2).mean()
    assert apart == pytest.approx(0.5, abs=0.1)


def test_intervals_cover_means_whose_domains_differ_and_independent_days_do_not() -> None:
    random = np.random.default_rng(7)
    domains = [f"{number}" for number in range(12) for _ in range(20)]
    clustered = drawn_weights([""] * 240, domains, seed=3, resamples=400)
    alone = drawn_weights([""] * 240, [f"{n}" for n in range(240)], seed=3, resamples=400)
    covered = np.zeros(2)
    for _ in range(200):
        values = np.repeat(random.normal(0, 1, 12), 20) + random.normal(0, 1, 240)
        found = [mean_interval(values, weights) for weights in (clustered, alone)]
        covered += [each.low <= 0 <= each.high for each in found]
    assert covered[0] / 200 > 0.85
    assert covered[1] / 200 < 0.6


def test_a_share_is_of_what_is_gained_for_sure() -> None:
    domains = [f"{number}" for number in range(20)]
    weights = drawn_weights([""] * 20, domains, seed=2)
    most = np.linspace(0.5, 1.5, 20)
    half = share_interval(most / 2, most, weights)
    assert (half.value, half.low, half.high) == pytest.approx((0.5, 0.5, 0.5))
    nothing = share_interval(most, np.linspace(-1, 1, 20), weights)
    assert np.isnan([nothing.value, nothing.low, nothing.high]).all()
