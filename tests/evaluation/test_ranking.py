"""NDCG@k against scikit-learn, list by list, and the lists that tell nothing."""

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from driftune.evaluation.ranking import ndcg, ndcg_by_list, ranking_summary

TIED = st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0])
ROW = st.tuples(
    st.integers(-1, 6), st.sampled_from([0.0, 1.0, 3.0]), st.one_of(TIED, st.floats(0, 1))
)


@given(st.lists(ROW, min_size=1, max_size=60), st.integers(1, 12))
def test_ndcg_equals_scikit_learn_on_lists_of_any_lengths_with_ties(
    rows: list[tuple[int, float, float]], k: int
) -> None:
    lists, gains, scores = (np.array(column) for column in zip(*rows, strict=True))
    expected = {
        name: ndcg_score([gains[lists == name]], [scores[lists == name]], k=k)
        for name in np.unique(lists[lists >= 0])
        if (lists == name).sum() > 1 and gains[lists == name].any()
    }
    names, values = ndcg_by_list(gains, scores, lists, k=k)
    assert names.tolist() == list(expected)
    assert values == pytest.approx(list(expected.values()), abs=1e-12)
    mean = ndcg(gains, scores, lists, k=k)
    assert mean == pytest.approx(
        np.mean(list(expected.values())) if expected else math.nan, abs=1e-12, nan_ok=True
    )


def test_a_list_by_hand() -> None:
    # The click stands third: 1 / log2(4) of the 1 / log2(2) that it would reach on top.
    assert ndcg([0, 0, 1], [0.9, 0.5, 0.1], [4, 4, 4]) == pytest.approx(1 / 2)
    # Two tied rows share places one and two.
    assert ndcg([1, 0], [0.5, 0.5], [4, 4]) == pytest.approx((1 + 1 / math.log2(3)) / 2)
    assert ndcg([0, 0, 1], [0.9, 0.5, 0.1], [4, 4, 4], k=2) == 0


@given(st.lists(ROW, min_size=2, max_size=40), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(
    rows: list[tuple[int, float, float]], random: Random
) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    lists, gains, scores = (np.array(column) for column in zip(*rows, strict=True))
    other = tuple(np.array(column) for column in zip(*shuffled, strict=True))
    expected = ndcg(gains, scores, lists)
    assert ndcg(other[1], other[2], other[0]) == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_lists_without_a_positive_or_of_one_row_and_rows_without_a_list_are_left_out() -> None:
    lists = [7, 7, 8, 8, 9, -1, -1]
    names, values = ndcg_by_list([1, 0, 0, 0, 1, 0, 1], [2, 1, 1, 2, 1, 2, 1], lists)
    assert names.tolist() == [7]
    assert values.tolist() == [1.0]
    assert math.isnan(ndcg([0, 0], [1, 2], [3, 3]))
    assert math.isnan(ndcg([], [], []))


def test_a_score_that_is_no_number_leaves_its_list_without_a_value() -> None:
    _, values = ndcg_by_list([1, 0, 1, 0], [0.5, math.nan, 0.5, 0.1], [1, 1, 2, 2])
    assert math.isnan(values[0])
    assert values[1] == 1
    assert math.isnan(ndcg([1, 0, 1, 0], [0.5, math.nan, 0.5, 0.1], [1, 1, 2, 2]))


def test_the_summary_grades_conversions_by_clicks_that_converted() -> None:
    found = ranking_summary(
        clicks=[1, 0, 1, 0, 1, 0],
        converts=[0, 0, 1, 0, 0, 1],
        p_click=[0.1, 0.9, 0.9, 0.1, 0.9, 0.1],
        p_ctcvr=[0.1, 0.9, 0.1, 0.9, 0.9, 0.1],
        lists=[1, 1, 2, 2, 3, 3],
    )
    second = 1 / math.log2(3)
    assert found["ctr_ndcg"] == pytest.approx((second + 1 + 1) / 3)
    assert found["ctcvr_ndcg"] == pytest.approx(second)
    assert (found["lists_with_clicks"], found["lists_with_conversions"]) == (3, 1)


@pytest.mark.parametrize(
    ("gains", "scores", "lists", "k", "wanted"),
    [
        ([1, 0], [0.1], [1, 1], 10, "scores"),
        ([1, 0], [0.1, 0.2], [1], 10, "lists"),
        ([-1, 0], [0.1, 0.2], [1, 1], 10, "not negative"),
        ([math.nan, 0], [0.1, 0.2], [1, 1], 10, "finite"),
        ([1, 0], [0.1, 0.2], [1, 1], 0, "k = 0"),
    ],
)
def test_what_cannot_be_read_is_refused(
    gains: list[float], scores: list[float], lists: list[int], k: int, wanted: str
) -> None:
    with pytest.raises(ValueError, match=wanted):
        ndcg(gains, scores, lists, k=k)


def test_a_million_rows_have_a_value_between_none_and_all() -> None:
    rng = np.random.default_rng(0)
    lists = np.sort(rng.integers(0, 125_000, 1_000_000))
    value = ndcg(rng.random(len(lists)) < 0.3, rng.random(len(lists)), lists)
    assert 0.5 < value < 0.7
