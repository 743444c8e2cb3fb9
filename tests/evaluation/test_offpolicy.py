"""Off-policy estimates: by hand, against a value that is known, and on the Open Bandit data."""

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import t

from benchmarks.off_policy import OBD, crossed
from driftune.config.gate import Gate
from driftune.evaluation.offpolicy import (
    ESTIMATORS,
    LoggedLists,
    OffPolicy,
    compare,
    compare_lists,
    evaluate,
)
from driftune.evaluation.propensity import Weighted, shares, weigh_choices, weigh_lists
from driftune.simulate.policy import draw_slates

GATE = Gate()
SMALL = Gate(min_effective_sample=1)
DECAY = np.array([1.0, 0.6, 0.4, 0.3])


def choices(seed: int, n: int, logger: np.ndarray, rate: np.ndarray) -> tuple[np.ndarray, ...]:
    """Items drawn by a logging policy, their propensities and their clicks."""
    rng = np.random.default_rng(seed)
    item = rng.choice(len(logger), n, p=logger)
    return item, logger[item], (rng.random(n) < rate[item]).astype(float)


@pytest.fixture(scope="module")
def truth() -> float:
    """Clicks per impression where the policy of the true rates really reorders what is drawn."""
    rng = np.random.default_rng(1)
    slates = draw_slates(rng, WEIGHTS, np.full(300_000, 4))[0].reshape(-1, 4)
    race = np.log(-np.log(rng.random(slates.shape)))
    # An exponential race: the smallest time over rate wins, as in drawing by softmax shares.
    order = np.take_along_axis(slates, np.argsort(race - logit(RATE)[slates], axis=1), axis=1)
    return float((RATE[order] * DECAY).mean())


RATE = np.random.default_rng(5).uniform(0.05, 0.6, 30)
WEIGHTS = np.random.default_rng(6).dirichlet(np.full(30, 1.0))


def logged_lists(seed: int, requests: int = 3000) -> tuple[LoggedLists, np.ndarray]:
    """Lists of four of thirty items under the simulator's policy; also the items shown."""
    rng = np.random.default_rng(seed)
    item, propensity = draw_slates(rng, WEIGHTS, np.full(requests, 4))
    position = np.tile(np.arange(4), requests)
    request = np.repeat(np.arange(requests), 4)
    click = (rng.random(len(item)) < RATE[item] * DECAY[position]).astype(np.int8)
    return LoggedLists(click, request, position + 1.0, propensity, request // 2), item


def test_three_impressions_by_hand() -> None:
    # Weights 2, 1/2, 1; clicks 1, 1, 0.
    target = Weighted(
        weight=np.array([2.0, 0.5, 1.0]),
        predicted=np.array([0.5, 0.25, 0.25]),
        expected=np.array([0.5, 0.5, 0.25]),
        used=np.ones(3, bool),
    )
    found = evaluate([1, 1, 0], target, [0, 1, 2], SMALL)
    ips = (2 + Fraction(1, 2)) / 3
    snips = Fraction(5, 2) / Fraction(7, 2)
    # 1/2 + 2 (1 − 1/2) = 3/2;  1/2 + 1/2 (1 − 1/4) = 7/8;  1/4 + 1 (0 − 1/4) = 0
    dr = (Fraction(3, 2) + Fraction(7, 8)) / 3
    values = [found[name].value for name in ESTIMATORS]
    assert values == pytest.approx([float(ips), float(snips), float(dr)], rel=1e-12)
    assert found["ips"].ess == pytest.approx(float(Fraction(7, 2) ** 2 / Fraction(21, 4)))
    # Deviations of w·y from its mean 5/6: 7/6, −1/3, −5/6; their variance 13/12 over n = 3.
    # Effective clusters (7/2)² / (21/4) = 7/3, one less are the degrees of freedom.
    reach = t.ppf(0.975, 4 / 3) * (13 / 12 / 3) ** 0.5
    assert found["ips"].high - found["ips"].value == pytest.approx(reach, rel=1e-9)
    assert found["ips"].value - found["ips"].low == pytest.approx(reach, rel=1e-9)


def test_choices_are_valued_without_bias_and_the_reward_model_narrows_the_interval() -> None:
    logger = np.array([0.4, 0.3, 0.2, 0.1])
    rate = np.array([0.05, 0.2, 0.3, 0.6])
    target = shares(rate, 0.7)
    truth = float(target @ rate)
    covered = dict.fromkeys(ESTIMATORS, 0)
    values: dict[str, list[float]] = {name: [] for name in ESTIMATORS}
    worlds = 200
    for world in range(worlds):
        item, propensity, click = choices(world, 1500, logger, rate)
        weighted = weigh_choices(propensity, item, target, rate)
        found = evaluate(click, weighted, np.arange(len(click)), GATE)
        for name in ESTIMATORS:
            covered[name] += found[name].low <= truth <= found[name].high
            values[name].append(found[name].value)
    for name in ESTIMATORS:
        error = np.std(values[name]) / worlds**0.5
        assert abs(np.mean(values[name]) - truth) < 4 * error
        assert 0.90 * worlds <= covered[name] <= 0.99 * worlds
    assert np.var(values["dr"]) < 0.8 * np.var(values["ips"])


def test_a_wrong_reward_model_leaves_the_doubly_robust_estimate_unbiased() -> None:
    logger, rate = np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.3, 0.5])
    target = np.array([0.1, 0.2, 0.7])
    item, propensity, click = choices(1, 200_000, logger, rate)
    wrong = weigh_choices(propensity, item, target, np.array([0.9, 0.1, 0.0]))
    found = evaluate(click, wrong, np.arange(len(click)), GATE)["dr"]
    assert found.low < target @ rate < found.high


@pytest.mark.slow
@pytest.mark.ci
def test_reordered_lists_are_valued_as_if_they_had_been_shown(truth: float) -> None:
    values: dict[str, list[float]] = {name: [] for name in ESTIMATORS}
    covered = dict.fromkeys(ESTIMATORS, 0)
    worlds = 40
    for world in range(worlds):
        rows, item = logged_lists(world)
        scores = RATE[item]
        target = weigh_lists(rows.propensity, rows.position, rows.request, scores, scores)
        found = evaluate(rows.click, target, rows.user, GATE)
        for name in ESTIMATORS:
            values[name].append(found[name].value)
            covered[name] += found[name].low <= truth <= found[name].high
    for name in ESTIMATORS:
        error = np.std(values[name]) / worlds**0.5
        assert abs(np.mean(values[name]) - truth) < 4 * error + 1e-3 * truth
        assert covered[name] >= 0.85 * worlds
    assert np.var(values["dr"]) < np.var(values["ips"])


@pytest.mark.slow
@pytest.mark.ci
def test_shares_of_the_logged_propensities_among_the_shown_items_would_mislead(
    truth: float,
) -> None:
    rows, item = logged_lists(3, requests=40_000)
    right = compare_lists(rows, RATE[item], RATE[item], GATE).champion["snips"]
    odds = (RATE / (1 - RATE))[item].reshape(-1, 4)
    weights = WEIGHTS[item].reshape(-1, 4)

    def order(values: np.ndarray) -> np.ndarray:
        remaining = np.cumsum(values[:, ::-1], axis=1)[:, ::-1]
        return np.cumprod(values / remaining, axis=1)

    naive = (order(odds) / order(weights)).ravel()
    misled = float(naive @ rows.click / naive.sum())
    assert right.low < truth < right.high
    assert not right.low < misled < right.high
    assert abs(misled - truth) > 2 * abs(right.value - truth)


@pytest.mark.slow
@pytest.mark.ci
def test_the_better_order_wins_by_a_paired_difference() -> None:
    rows, item = logged_lists(8)
    found = compare_lists(rows, 0.6 - 0.9 * RATE[item], RATE[item], GATE)
    alone = found.champion["dr"]
    for name in ESTIMATORS:
        assert found.difference[name].low > 0
        assert found.difference[name].value == pytest.approx(
            found.challenger[name].value - found.champion[name].value
        )
    assert alone.value < found.logged.value < found.challenger["dr"].value
    same = compare_lists(rows, RATE[item], RATE[item], GATE).difference["snips"]
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_rows_of_a_user_repeated_do_not_narrow_the_interval() -> None:
    target = np.array([0.2, 0.8])
    item, propensity, click = choices(2, 800, np.array([0.5, 0.5]), np.array([0.2, 0.4]))

    def interval(times: int) -> tuple[float, float, float]:
        weighted = weigh_choices(np.tile(propensity, times), np.tile(item, times), target, [0, 0])
        clusters = np.tile(np.arange(800), times)
        found = evaluate(np.tile(click, times), weighted, clusters, GATE)["snips"]
        return found.low, found.high, found.effective_clusters

    assert interval(5) == pytest.approx(interval(1), rel=1e-9)


def refused(found: OffPolicy, wanted: str) -> bool:
    return all(
        wanted in (each.refused or "") and np.isnan(each.value) and np.isnan(each.low)
        for estimates in (found.champion, found.challenger, found.difference)
        for each in estimates.values()
    )


@pytest.mark.slow
@pytest.mark.ci
def test_too_small_an_effective_sample_is_refused() -> None:
    rows, item = logged_lists(1, requests=20)
    assert refused(compare_lists(rows, RATE[item], RATE[item], GATE), "100 are needed")
    rows, item = logged_lists(1)
    few_users = replace(rows, user=rows.request % 50)
    found = compare_lists(few_users, RATE[item], RATE[item], GATE)
    assert refused(found, "effective clusters")


def test_propensities_that_did_not_make_the_log_are_refused() -> None:
    rows, item = logged_lists(1)
    best_first = np.lexsort((-RATE[item], rows.request))
    sorted_lists = replace(rows, click=rows.click[best_first])
    scores = RATE[item][best_first]
    assert refused(compare_lists(sorted_lists, scores, scores, GATE), "was made another way")


def test_a_log_without_propensities_is_refused_and_the_report_is_json() -> None:
    rows, item = logged_lists(1, requests=300)
    none = replace(rows, propensity=np.full(1200, np.nan))
    found = compare_lists(none, RATE[item], RATE[item], GATE)
    assert refused(found, "the log has no propensities")
    assert found.refused == "the log has no propensities"
    again = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert again["challenger"]["dr"]["value"] is None
    assert again["challenger"]["dr"]["n"] == 1200


def test_rows_of_lists_with_gaps_are_left_out_of_both_sides() -> None:
    rows, item = logged_lists(4)
    position = rows.position.copy()
    position[3] = 9
    gap = replace(rows, position=position)
    found = compare_lists(gap, RATE[item], expit(RATE[item]), GATE)
    assert found.left_out == 4
    assert found.difference["ips"].n == found.logged.n == len(item) - 4
    assert found.logged.value == pytest.approx(rows.click[4:].mean())


def test_compare_needs_as_many_clicks_as_weights() -> None:
    one = np.ones(3)
    weighted = Weighted(one, one, one, one == 1)
    with pytest.raises((ValueError, IndexError)):
        compare([1, 0], weighted, weighted, [1, 2, 3], GATE)


@pytest.mark.skipif(not Path(OBD).exists(), reason="needs ../shared/data/obd_small")
def test_the_open_bandit_policies_are_worth_what_they_earned() -> None:
    checked = 0
    for row in crossed(OBD, GATE):
        if (row["campaign"], row["log"], row["target"]) == ("women", "bts", "random"):
            assert all("effective" in row[name].refused for name in ESTIMATORS)
            continue
        for name in ESTIMATORS:
            estimate, earned = row[name], row["earned"]
            apart = abs(estimate.value - earned.value)
            assert estimate.refused is None
            assert apart < np.hypot(estimate.high - estimate.value, earned.high - earned.value)
            assert estimate.ess > 500
            checked += 1
    assert checked == 9
