"""Statistics: equal to those of scipy, scikit-learn and Evidently."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance
from sklearn.metrics import roc_auc_score

from driftune.drift.distances import distances, whole_counts
from driftune.drift.signals import counted_signals
from driftune.drift.statistics import binned_auc, jensen_shannon, wasserstein
from tests.drift.windows import profile, windows

COUNTS = st.lists(st.integers(0, 30), min_size=4, max_size=4).filter(any)


@given(COUNTS, COUNTS)
def test_jensen_shannon_is_scipy_s(left: list[int], right: list[int]) -> None:
    expected = jensenshannon(left, right)
    assert jensen_shannon(np.array(left, float), np.array(right, float)) == pytest.approx(
        np.nan_to_num(expected), abs=1e-7
    )


@given(COUNTS, COUNTS)
def test_wasserstein_is_scipy_s_in_standard_deviations(left: list[int], right: list[int]) -> None:
    values = np.array([-2.0, 0.0, 1.0, 5.0])
    spread = max(np.std(np.repeat(values, right)), 1e-3)
    expected = wasserstein_distance(values, values, left, right) / spread
    found = wasserstein(np.array(left, float), np.array(right, float), values)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(COUNTS, COUNTS)
@pytest.mark.slow
@pytest.mark.ci
def test_binned_auc_is_scikit_learn_s(negatives: list[int], positives: list[int]) -> None:
    area, variance = binned_auc(np.array(negatives, float), np.array(positives, float))
    if min(sum(negatives), sum(positives)) < 2:
        assert np.isnan(area) and np.isnan(variance)
        return
    scores = np.concatenate([np.repeat(np.arange(4), n) for n in (negatives, positives)])
    labels = np.repeat([0, 1], [sum(negatives), sum(positives)])
    assert area == pytest.approx(roc_auc_score(labels, scores))
    assert variance >= 0


def test_the_variance_of_an_auc_is_that_of_repeated_samples() -> None:
    rng = np.random.default_rng(3)
    areas, variances = [], []
    for _ in range(400):
        scores = [np.bincount(np.clip(rng.normal(4 + up, 2, 150), 0, 9).astype(int), minlength=10)
                  for up in (0, 1)]  # fmt: skip
        area, variance = binned_auc(*(each.astype(float) for each in scores))
        areas.append(area)
        variances.append(variance)
    assert np.var(areas) == pytest.approx(np.mean(variances), rel=0.2)


@pytest.mark.evidently
def test_evidently_measures_the_same_distances() -> None:
    rng = np.random.default_rng(5)
    held = windows(rng, profile(rng, rows=1500, rates=(0.2, 0.4, 0.2, 0.1), mix=(1, 2, 3, 4)))
    found = distances([held], rows=1_000_000)[0]
    assert sorted(found) == sorted(counted_signals())
    for name, signal in counted_signals().items():
        own = float(signal.distance(held, *signal.pair(held)))
        # Click rates at the reference's mix are rounded to whole rows.
        assert found[name] == pytest.approx(own, abs=2e-3), name


@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=30), st.integers(1, 500))
def test_whole_counts_keep_the_total_and_stay_within_one(counts: list[float], most: int) -> None:
    given_counts = np.array(counts)
    if given_counts.sum() == 0:
        return
    found = whole_counts(given_counts, most)
    size = min(round(given_counts.sum()), most)
    assert found.sum() == size
    assert np.abs(found - given_counts * size / given_counts.sum()).max() <= 1
