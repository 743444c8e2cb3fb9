"""Weak models: below chance, and below the rates of items and positions."""

import numpy as np
import pytest

from driftune.evaluation.baselines import Impressions
from driftune.evaluation.weakness import PlainRates, plain_rates, weakness


def impressions(seed: int, rows: int = 4000) -> tuple[Impressions, np.ndarray]:
    """Impressions of twenty items with rates of their own, and each row's true rate."""
    rng = np.random.default_rng(seed)
    item = rng.integers(0, 20, rows)
    rate = np.linspace(0.05, 0.6, 20)[item]
    click = (rng.random(rows) < rate).astype(float)
    zeros = np.zeros(rows, dtype=np.int64)
    return Impressions(click, zeros, item, np.full(rows, np.nan)), rate


@pytest.fixture(scope="module")
def judged() -> tuple[Impressions, np.ndarray, PlainRates]:
    rows, rate = impressions(2)
    plain = plain_rates(impressions(1)[0], rows)
    assert plain is not None
    return rows, rate, plain


def test_an_auc_just_below_chance_is_not_told_as_chance():
    # One pair of 2 500 has changed places: an AUC of .4996.
    click = np.tile([1.0, 0.0, 0.0, 1.0], 25)
    score = np.linspace(0.4, 0.6, 100)
    order = np.arange(100)
    order[[2, 3]] = order[[3, 2]]
    found = weakness(click[order], score, PlainRates(np.full(100, 0.5), np.full(100, 0.5)))
    assert found is not None and "(CTR-AUC 0.4996)" in found


def test_a_model_that_knows_the_rates_is_not_weak(judged):
    rows, rate, plain = judged
    assert weakness(rows.click, rate, plain) is None


def test_probabilities_and_what_ranks_may_be_of_different_places(judged):
    rows, rate, plain = judged
    assert weakness(rows.click, rate, plain, ranked=np.minimum(3 * rate, 1.8)) is None
    told = weakness(rows.click, rate, plain, ranked=-rate)
    assert told is not None and told.startswith("ranks clicks worse than chance")
    assert "foresees" not in told


def test_a_model_that_ranks_the_wrong_way_is_told(judged):
    rows, rate, plain = judged
    told = weakness(rows.click, 0.65 - rate, plain)
    assert told is not None
    assert told.startswith("ranks clicks worse than chance (CTR-AUC 0.")
    assert "foresees clicks worse than item and position rates of the days before alone" in told


def test_a_model_without_items_is_told_by_its_log_loss(judged):
    rows, _, plain = judged
    told = weakness(rows.click, np.full(len(rows.click), rows.click.mean()), plain)
    assert told is not None and "item and position rates" in told
    assert "chance" not in told


def test_rows_of_one_class_and_no_earlier_rows_are_no_fault(judged):
    rows, rate, plain = judged
    clicks = np.ones(len(rate))
    assert "chance" not in (weakness(clicks, rate, plain) or "")
    none = Impressions(*(column[:0] for column in vars(rows).values()))
    assert plain_rates(none, rows) is None
