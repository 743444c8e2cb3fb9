"""Log loss of two models on the same rows: the interval, its rule, what is undefined."""

import math

import numpy as np
import pytest

from driftune.evaluation.looks import outcome
from driftune.evaluation.losses import LossDifference, paired_log_loss
from driftune.evaluation.metrics import log_loss
from driftune.evaluation.rules import log_loss_rule
from tests.evaluation.gate_worlds import POLICY, World, decide, failed, rule, sigmoid

GIVEN = {"resamples": 500, "confidence": 0.95, "seed": 1, "tolerance": 0.02}


def compared(rows: int = 4000, users: int = 400, shift: float = 0.0, seed: int = 0):
    """A champion that is right and a challenger whose logits are shifted: their difference."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(-1, 1, rows)
    click = rng.random(rows) < sigmoid(logit)
    sides = sigmoid(logit), sigmoid(logit + shift)
    user = np.arange(rows) % users
    found = paired_log_loss(click, *sides, user, **GIVEN)
    return click, sides, found


def test_the_means_are_those_of_the_metric_and_the_interval_holds_the_truth():
    click, sides, found = compared(shift=0.5)
    assert found.champion == pytest.approx(log_loss(click, sides[0]))
    assert found.challenger == pytest.approx(log_loss(click, sides[1]))
    assert found.estimate == pytest.approx(found.challenger - found.champion)
    assert found.low < found.estimate < found.high
    # The expected rise of a logit that is off by 0.5, by many rows.
    _, _, truth = compared(rows=400_000, users=4000, shift=0.5, seed=9)
    assert found.low < truth.estimate < found.high


def test_rows_of_one_user_widen_the_interval():
    rng = np.random.default_rng(3)
    user = np.repeat(np.arange(40), 100)
    off = rng.normal(0, 1, 40)[user]
    click = rng.random(4000) < 0.3
    sides = np.full(4000, 0.3), sigmoid(np.log(0.3 / 0.7) + off)
    by_user = paired_log_loss(click, *sides, user, **GIVEN)
    by_row = paired_log_loss(click, *sides, np.arange(4000), **GIVEN)
    assert by_user.error > 3 * by_row.error


def test_a_challenger_equal_to_the_champion_differs_by_exactly_nothing():
    _, _, found = compared(shift=0.0)
    assert (found.estimate, found.low, found.high, found.error) == (0, 0, 0, 0)
    assert found.p_beyond() > 0.999
    assert log_loss_rule(found, POLICY, 0.95).verdict == "pass"


def test_one_user_has_no_interval_and_is_not_promoted():
    found = paired_log_loss(
        [0, 1, 1],
        [0.2, 0.8, 0.6],
        [0.3, 0.9, 0.7],
        np.zeros(3, dtype=np.int64),
        **GIVEN,
    )
    assert math.isnan(found.low) and math.isnan(found.p_beyond())
    told = log_loss_rule(found, POLICY, 0.95)
    assert told.verdict == "fail" and told.value is None
    assert "has no interval" in told.sentence and "is not promoted" in told.sentence


def test_no_rows_at_all_are_no_fault():
    none = np.zeros(0)
    found = paired_log_loss(none, none, none, none.astype(np.int64), **GIVEN)
    assert math.isnan(found.estimate) and found.users == 0


def test_a_challenger_that_ranks_better_and_foresees_worse_is_rejected():
    # Inside the calibration band: what is too high there is too low elsewhere.
    world = World()
    champion = world.model(blur=0.6)
    better = world.model(blur=0.1)
    logit = np.log(better.p_click / (1 - better.p_click))
    sure = type(better)(sigmoid(2.6 * logit + 1.2), better.p_ctcvr)
    report = decide(world, champion, sure)
    assert rule(report, "interval above zero").verdict == "pass"
    assert rule(report, "calibration").verdict == "pass"
    assert failed(report) == ["log loss"]
    assert report.decision == "reject" and outcome(report, POLICY, last=False) == "reject"
    assert "shows a rise beyond the tolerated" in rule(report, "log loss").sentence
    lenient = POLICY.model_copy(update={"log_loss_tolerance": 1.0})
    assert decide(world, champion, sure, lenient).decision == "promote"


def test_a_rise_that_is_not_shown_holds_up_nothing():
    most = POLICY.log_loss_tolerance * 0.5
    for estimate, verdict in ((most, "pass"), (most + 0.001, "pass"), (most + 0.01, "fail")):
        assert log_loss_rule(risen(estimate), POLICY, 0.95).verdict == verdict


def test_a_stricter_confidence_excuses_no_rise():
    assert log_loss_rule(risen(0.014), POLICY, 0.9999).verdict == "fail"


def risen(by: float) -> LossDifference:
    """A log loss of .5 that rises, with an error of .002 of the rise and of its excess."""
    return LossDifference(
        champion=0.5,
        challenger=0.5 + by,
        estimate=by,
        error=0.002,
        freedom=300,
        low=by - 0.004,
        high=by + 0.004,
        users=300,
        tolerance=0.02,
        excess=by - 0.01,
        excess_error=0.002,
    )


def test_what_is_tolerated_has_an_error_of_its_own():
    rng = np.random.default_rng(5)
    logit = rng.normal(0, 2, 2000)
    click = rng.random(2000) < sigmoid(logit)
    sides = sigmoid(logit), sigmoid(1.4 * logit)
    found = paired_log_loss(click, *sides, np.arange(2000), **GIVEN)
    rise = found.challenger - 1.02 * found.champion
    assert found.excess == pytest.approx(rise)
    own = np.array([-np.log(np.where(click, each, 1 - each)) for each in sides])
    truth = (own[1] - 1.02 * own[0]).std(ddof=1) / np.sqrt(2000)
    assert found.excess_error == pytest.approx(truth, rel=0.15)
    assert abs(found.excess_error - found.error) > 1e-5


def test_a_rise_at_the_limit_is_rejected_about_as_often_as_it_is_said_to_be():
    # The rise has nothing to do with the rows whose loss is high: were what is tolerated taken as
    # known, 30% of these challengers would be rejected at 5%.
    worlds, rejected = 200, 0
    for seed in range(worlds):
        rng = np.random.default_rng(seed)
        before = rng.gamma(0.3, 2.0, 300)
        after = before + 0.012 * (1 + rng.uniform(-1, 1, 300))
        rows = np.exp(-before), np.exp(-after)
        rejected += paired_log_loss(np.ones(300), *rows, np.arange(300), **GIVEN).p_beyond() < 0.05
    assert rejected / worlds < 0.13
