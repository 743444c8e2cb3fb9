"""The paired bootstrap: against a loop over resamples, its coverage and its limits."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftune.evaluation import bootstrap
from driftune.evaluation.bootstrap import (
    PairedDifference,
    paired_auc_difference,
    paired_differences,
)
from driftune.evaluation.comparison import Comparison
from driftune.evaluation.metrics import auc
from driftune.evaluation.placements import delong

Data = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def clustered(users: np.ndarray, seed: int, insight: float = 0.5) -> Data:
    """Labels, champion, challenger, users: the challenger alone knows something of each user."""
    rng = np.random.default_rng(seed)
    taste = rng.normal(0, 1, users.max() + 1)[users]
    signal = rng.normal(0, 1, len(users))
    labels = (rng.random(len(users)) < 1 / (1 + np.exp(1 - signal - taste))).astype(np.int8)
    champion = signal + rng.normal(0, 0.7, len(users))
    return labels, champion, champion + insight * taste, users


def compare(data: Data, resamples: int = 300, seed: int = 1) -> PairedDifference:
    return paired_auc_difference(*data, resamples=resamples, confidence=0.95, seed=seed)


def naive_error(data: Data, resamples: int, seed: int) -> float:
    labels, champion, challenger, users = data
    names = np.unique(users)
    rng = np.random.default_rng(seed)
    differences = []
    for _ in range(resamples):
        drawn = names[rng.integers(len(names), size=len(names))]
        rows = np.concatenate([np.flatnonzero(users == user) for user in drawn])
        differences.append(auc(labels[rows], challenger[rows]) - auc(labels[rows], champion[rows]))
    return float(np.std(differences, ddof=1))


@given(st.integers(0, 10_000), st.integers(80, 160), st.sampled_from([0, 1, 3]))
@settings(max_examples=12)
@pytest.mark.slow
@pytest.mark.ci
def test_error_agrees_with_a_loop_that_copies_the_drawn_users_rows(
    seed: int, users: int, digits: int
):
    labels, champion, challenger, owners = clustered(np.arange(8 * users) % users, seed)
    data = labels, np.round(champion, digits), np.round(challenger, 1), owners
    found = compare(data, resamples=200, seed=9)
    assert found.dropped == 0
    assert found.estimate == pytest.approx(auc(labels, data[2]) - auc(labels, data[1]), abs=1e-12)
    # The same users are drawn; what is left is the linearisation, and the correction for few users.
    assert found.error == pytest.approx(naive_error(data, 200, 9), rel=0.06)


def test_draws_do_not_depend_on_how_many_are_held_at_once(monkeypatch: pytest.MonkeyPatch):
    data = clustered(np.arange(800) % 80, seed=1)
    at_once = compare(data)
    monkeypatch.setattr(bootstrap, "CELLS", 1000)
    assert compare(data).error == pytest.approx(at_once.error, rel=1e-12)


def test_parts_compared_together_see_the_same_draws_as_alone():
    labels, champion, challenger, users = clustered(np.arange(900) % 90, seed=2)
    part = users < 60
    together = paired_differences(
        {
            "all": Comparison.of(labels, champion, challenger, users),
            "part": Comparison.of(labels[part], champion[part], challenger[part], users[part]),
        },
        90,
        resamples=300,
        confidence=0.95,
        seed=1,
    )
    assert together["all"].error == pytest.approx(
        compare((labels, champion, challenger, users)).error
    )
    assert (together["part"].rows, together["part"].users) == (600, 60)
    assert together["part"].error > together["all"].error


def test_a_stricter_confidence_widens_the_interval_beyond_the_resamples():
    data = clustered(np.arange(900) % 90, seed=2)
    widths = [
        found.high - found.low
        for level in (0.9, 0.95, 0.9999, 0.999999)
        for found in [paired_auc_difference(*data, resamples=200, confidence=level, seed=1)]
    ]
    assert widths == sorted(widths)
    assert widths[3] > widths[2] * 1.2


def test_the_same_seed_gives_the_same_interval_and_another_one_does_not():
    data = clustered(np.arange(800) % 80, seed=1)
    assert compare(data, seed=5) == compare(data, seed=5)
    assert compare(data, seed=5).low != compare(data, seed=6).low


def test_user_ids_may_be_strings():
    labels, champion, challenger, users = clustered(np.arange(600) % 60, seed=2)
    named = np.array([f"u{user:03d}" for user in users], dtype=object)
    assert compare((labels, champion, challenger, named)) == compare(
        (labels, champion, challenger, users)
    )


def test_rows_of_one_user_repeated_do_not_narrow_the_interval():
    labels, champion, challenger, users = clustered(np.arange(600) % 60, seed=2)
    once = compare((labels, champion, challenger, users))
    often = compare(tuple(np.tile(column, 5) for column in (labels, champion, challenger, users)))
    assert (often.low, often.high) == pytest.approx((once.low, once.high), abs=1e-12)


def test_a_model_against_itself_differs_by_exactly_zero():
    labels, champion, _, users = clustered(np.arange(900) % 90, seed=3)
    same = compare((labels, champion, 2 * champion, users))
    assert (same.estimate, same.low, same.high) == (0, 0, 0)


def test_without_both_classes_there_is_no_interval():
    _, champion, challenger, users = clustered(np.arange(300) % 30, seed=3)
    found = compare((np.zeros(300), champion, challenger, users))
    assert all(math.isnan(value) for value in (found.estimate, found.low, found.high))


def test_resamples_that_lack_a_class_are_counted_and_many_of_them_end_the_interval():
    _, champion, challenger, users = clustered(np.arange(300) % 30, seed=3)
    one_clicker = compare(((users == 0).astype(int), champion, challenger, users), resamples=1000)
    assert one_clicker.dropped == pytest.approx(1000 * (1 - 1 / 30) ** 30, abs=60)
    assert math.isnan(one_clicker.low)
    assert math.isnan(one_clicker.high)
    four_clickers = compare(((users < 4).astype(int), champion, challenger, users), resamples=1000)
    assert 0 < four_clickers.dropped < 50
    assert four_clickers.low < four_clickers.estimate < four_clickers.high


def test_one_user_has_no_interval():
    labels, champion, challenger, _ = clustered(np.arange(100) % 10, seed=3)
    found = compare((labels, champion, challenger, np.zeros(100, int)))
    assert math.isfinite(found.estimate)
    assert math.isnan(found.low)


def test_zipf_users_count_for_few():
    share = 1 / np.arange(1, 301)
    users = np.random.default_rng(0).choice(300, 20_000, p=share / share.sum())
    zipf = compare(clustered(users, seed=1), resamples=20)
    even = compare(clustered(np.arange(20_000) % 300, seed=1), resamples=20)
    assert zipf.users == even.users == 300
    assert even.effective_users > 299
    assert zipf.effective_users == pytest.approx(share.sum() ** 2 / (share @ share), rel=0.1)


@pytest.mark.slow
@pytest.mark.ci
def test_the_interval_covers_the_true_difference_where_rows_alone_would_not():
    everyone = clustered(np.arange(400_000) // 10, seed=0, insight=0.4)
    truth = auc(everyone[0], everyone[2]) - auc(everyone[0], everyone[1])
    worlds = 200
    covered = by_rows = 0
    for world in range(worlds):
        labels, champion, challenger, users = clustered(
            np.arange(1500) // 10, seed=100 + world, insight=0.4
        )
        found = compare((labels, champion, challenger, users), resamples=200, seed=world)
        covered += found.low <= truth <= found.high
        rows = compare((labels, champion, challenger, np.arange(1500)), resamples=200, seed=world)
        by_rows += rows.low <= truth <= rows.high
    assert 0.90 * worlds <= covered <= 0.985 * worlds
    assert by_rows < covered


def test_a_difference_of_two_areas_stays_within_one():
    # Three users who contradict each other: Student's t reaches far beyond what an area can be.
    labels = [1, 0, 1, 0, 1, 0]
    users = [0, 0, 1, 1, 2, 2]
    champion, challenger = [1, 0, 0, 1, 0, 1], [0, 1, 1, 0, 1, 0]
    found = paired_auc_difference(
        labels, champion, challenger, users, resamples=400, confidence=0.999, seed=1
    )
    assert found.error > 0.3
    assert (found.low, found.high) == (-1.0, 1.0)
    by_rows = delong(np.array(labels) == 1, np.array([1.0, 1, -1, -1, 1, 1]), 0.999)
    assert (by_rows.low, by_rows.high) == (-1.0, 1.0)
