"""The calibration curve and its error, and the AUC by user, against their definitions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve as sklearn_curve
from sklearn.metrics import roc_auc_score

from driftune.evaluation.calibration import calibration_curve, expected_calibration_error
from driftune.evaluation.metrics import gauc

ROW = st.tuples(
    st.integers(0, 1),
    st.one_of(st.sampled_from([0.0, 0.2, 0.5]), st.floats(0, 1)),
    st.integers(0, 4),
)


@given(st.lists(ROW, min_size=1, max_size=80))
def test_curve_equals_scikit_learn(rows: list[tuple[int, float, int]]):
    labels, scores, _ = (np.array(column) for column in zip(*rows, strict=True))
    actual, predicted = sklearn_curve(labels, scores, n_bins=10, strategy="quantile")
    curve = calibration_curve(labels, scores)
    assert [point.actual for point in curve] == pytest.approx(actual)
    assert [point.predicted for point in curve] == pytest.approx(predicted)
    assert sum(point.rows for point in curve) == len(rows)


def test_error_is_the_mean_distance_by_rows():
    labels = np.r_[np.zeros(50), np.ones(50)]
    assert expected_calibration_error(calibration_curve(labels, np.full(100, 0.5))) == 0
    assert expected_calibration_error(calibration_curve(labels, np.full(100, 0.8))) == (
        pytest.approx(0.3)
    )
    perfect = calibration_curve(labels, labels)
    assert expected_calibration_error(perfect) == 0
    assert math.isnan(expected_calibration_error(calibration_curve([], [])))


@given(st.lists(ROW, min_size=1, max_size=80), st.randoms(use_true_random=False))
@pytest.mark.slow
@pytest.mark.ci
def test_gauc_is_the_users_mean_by_impressions(rows: list[tuple[int, float, int]], random):
    random.shuffle(rows)
    labels, scores, users = (np.array(column) for column in zip(*rows, strict=True))
    areas, weights = [], []
    for user in np.unique(users):
        own = users == user
        if len(set(labels[own])) == 2:
            areas.append(roc_auc_score(labels[own], scores[own]))
            weights.append(own.sum())
    if areas:
        assert gauc(labels, scores, users) == pytest.approx(np.average(areas, weights=weights))
    else:
        assert math.isnan(gauc(labels, scores, users))


def test_gauc_refuses_what_it_cannot_read():
    assert math.isnan(gauc([0, 1], [0.1, math.nan], [1, 1]))
    with pytest.raises(ValueError, match="users"):
        gauc([0, 1], [0.1, 0.2], [1])
