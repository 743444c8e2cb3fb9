"""Metrics against scikit-learn, and what they answer where they are not defined."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss as sklearn_log_loss
from sklearn.metrics import roc_auc_score

from driftune.evaluation.metrics import auc, calibration_ratio, log_loss, summary

TIED = st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0])
ROW = st.tuples(
    st.integers(0, 1), st.one_of(TIED, st.floats(0, 1)), st.sampled_from([0.0, 0.5, 1.0, 3.7])
)


@given(st.lists(ROW, min_size=1, max_size=60))
def test_auc_equals_scikit_learn_with_ties_and_weights(rows: list[tuple[int, float, float]]):
    labels, scores, weights = (np.array(column) for column in zip(*rows, strict=True))
    if len(set(labels)) == 2:
        assert auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    else:
        assert math.isnan(auc(labels, scores))
    if len(set(labels[weights > 0])) == 2:
        expected = roc_auc_score(labels, scores, sample_weight=weights)
        assert auc(labels, scores, weights) == pytest.approx(expected, abs=1e-12)
    else:
        assert math.isnan(auc(labels, scores, weights))


@given(st.lists(ROW, min_size=2, max_size=60), st.randoms(use_true_random=False))
def test_auc_ignores_the_order_of_rows_and_mirrors_with_the_labels(rows, random):
    labels, scores, weights = (np.array(column) for column in zip(*rows, strict=True))
    order = list(range(len(rows)))
    random.shuffle(order)
    area = auc(labels, scores, weights)
    shuffled = auc(labels[order], scores[order], weights[order])
    assert shuffled == pytest.approx(area, abs=1e-12, nan_ok=True)
    assert auc(1 - labels, scores, weights) == pytest.approx(1 - area, abs=1e-12, nan_ok=True)


def test_auc_counts_ties_half():
    assert auc([0, 1], [0.3, 0.3]) == 0.5
    assert auc([0, 0, 1, 1], [0.1, 0.4, 0.4, 0.9]) == 3.5 / 4


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_auc_of_scores_that_are_not_finite_is_nan(bad: float):
    assert math.isnan(auc([0, 1, 1], [0.1, bad, 0.4]))


def test_auc_refuses_what_it_cannot_read():
    with pytest.raises(ValueError, match="0 and 1"):
        auc([0, 2], [0.1, 0.2])
    with pytest.raises(ValueError, match="labels"):
        auc([0, 1], [0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match="weights"):
        auc([0, 1], [0.1, 0.2], [1.0, -1.0])


@given(st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), min_size=1, max_size=40))
def test_log_loss_equals_scikit_learn(rows: list[tuple[int, float]]):
    labels, probabilities = (np.array(column) for column in zip(*rows, strict=True))
    expected = sklearn_log_loss(labels, probabilities, labels=[0, 1])
    assert log_loss(labels, probabilities) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_calibration_is_predicted_per_actual():
    assert calibration_ratio([1, 0, 1, 0], [0.9, 0.3, 0.9, 0.9]) == pytest.approx(1.5)
    assert math.isnan(calibration_ratio([0, 0], [0.1, 0.2]))


def test_summary_scores_ctcvr_on_clicks_that_convert():
    figures = summary(
        clicks=np.array([1, 1, 0, 0], np.int8),
        converts=np.array([1, 0, 1, 0], np.int8),
        p_click=np.array([0.9, 0.8, 0.2, 0.1]),
        p_ctcvr=np.array([0.5, 0.6, 0.1, 0.1]),
    )
    assert figures["ctr_auc"] == 1
    assert figures["ctcvr_auc"] == pytest.approx(2 / 3)
    assert figures["ctr_calibration"] == pytest.approx(1)
    assert (figures["rows"], figures["clicks"], figures["conversions"]) == (4, 2, 1)


def test_summary_of_no_rows_has_counts_and_no_metrics():
    nothing = np.empty(0)
    figures = summary(nothing, nothing, nothing, nothing)
    assert (figures["rows"], figures["clicks"], figures["conversions"]) == (0, 0, 0)
    assert all(math.isnan(figures[name]) for name in ("ctr_auc", "ctcvr_auc", "ctr_log_loss"))
