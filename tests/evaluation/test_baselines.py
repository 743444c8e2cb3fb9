"""The plain models that a recommender must beat."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftune.evaluation.baselines import (
    Impressions,
    base_figures,
    domain_rates,
    item_position_rates,
)


def world(rows: int, seed: int) -> tuple[Impressions, np.ndarray]:
    """Impressions of three domains, forty items and four places, and their true probabilities."""
    rng = np.random.default_rng(seed)
    domain, item = rng.integers(0, 3, rows), rng.integers(0, 40, rows)
    place = rng.integers(1, 5, rows)
    rate = np.array([0.1, 0.2, 0.3])[domain] * (0.4 + item / 30) / np.sqrt(place)
    click = (rng.random(rows) < rate).astype(float)
    return Impressions(click, domain, item, place.astype(float)), rate


def test_a_domains_rate_is_that_of_its_training_rows() -> None:
    train, _ = world(20_000, 1)
    held_out, _ = world(100, 2)
    rates = domain_rates(train, held_out)
    for number in range(3):
        there = held_out.domain == number
        assert rates[there] == pytest.approx(train.click[train.domain == number].mean(), rel=0.02)


def test_items_and_places_come_close_to_the_truth_that_has_nothing_else() -> None:
    train, _ = world(200_000, 1)
    held_out, truth = world(20_000, 2)
    rates = item_position_rates(train, held_out)
    assert np.abs(rates - truth).mean() < 0.01
    assert rates.sum() == pytest.approx(truth.sum(), rel=0.03)


def test_an_item_that_was_never_seen_has_the_domains_rate() -> None:
    train, _ = world(5_000, 1)
    new = Impressions(np.zeros(3), np.array([0, 1, 2]), np.array([99, 99, 99]), np.full(3, np.nan))
    assert item_position_rates(train, new) == pytest.approx(domain_rates(train, new))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.integers(0, 5)), min_size=1))
def test_rates_are_probabilities_whatever_the_log(rows: list[tuple[bool, int, int]]) -> None:
    click, domain, item = (np.array(each) for each in zip(*rows, strict=True))
    log = Impressions(click.astype(float), domain, item, np.full(len(rows), np.nan))
    for rates in (domain_rates(log, log), item_position_rates(log, log)):
        assert np.isfinite(rates).all()
        assert ((rates >= 0) & (rates <= 1)).all()


def test_the_true_probabilities_are_no_worse_than_a_baseline_and_calibrated() -> None:
    train, _ = world(50_000, 1)
    held_out, truth = world(5_000, 2)
    plain, items = domain_rates(train, held_out), item_position_rates(train, held_out)
    figures = base_figures(held_out.click, truth, plain, items)
    assert (figures.worse_than, figures.miscalibrated) == (None, False)
    doubled = base_figures(held_out.click, np.minimum(2 * truth, 0.99), plain, items)
    assert doubled.miscalibrated
    assert doubled.calibration == pytest.approx(2, rel=0.1)
    blind = base_figures(held_out.click, plain, plain, items)
    assert blind.worse_than == "item and position rates"


def test_no_rows_have_no_figures() -> None:
    nothing = np.empty(0)
    figures = base_figures(nothing, nothing, nothing, nothing)
    assert (figures.rows, figures.worse_than, figures.miscalibrated) == (0, None, False)
    assert np.isnan(figures.auc)


@pytest.mark.filterwarnings("error")
def test_without_training_rows_no_rate_is_defined() -> None:
    log, _ = world(40, 1)
    none = Impressions(*(each[:0] for each in (log.click, log.domain, log.item, log.position)))
    assert np.isnan(domain_rates(none, log)).all()
    assert np.isnan(item_position_rates(none, log)).all()
