"""How the gate checks itself: halves, DeLong, A/A, figures in order, and rules that are missing."""

from dataclasses import replace

import numpy as np
import pytest

from driftune.evaluation.bootstrap import PairedDifference, paired_auc_difference
from driftune.evaluation.checks import (
    delong_rule,
    halves_of,
    halves_rule,
    order_rule,
    self_rule,
)
from driftune.evaluation.gate import GateReport
from driftune.evaluation.placements import DeLong, delong, placements
from driftune.evaluation.verdicts import GAINS, MAY_BE_UNKNOWN, REQUIRED, decide
from tests.evaluation.gate_worlds import World, failed, rule
from tests.evaluation.gate_worlds import decide as judged


@pytest.fixture(scope="module")
def promoted() -> GateReport:
    world = World()
    return judged(world, world.model(blur=1.0), world.model(blur=0.1))


def found(estimate: float, error: float, reach: float = 2.0) -> PairedDifference:
    """A difference with its interval."""
    low, high = estimate - reach * error, estimate + reach * error
    return PairedDifference(
        0.7, 0.7 + estimate, estimate, error, 500, low, high, 1000, 300, 500, 500, 1000, 0
    )


def test_every_required_rule_is_told_and_passes(promoted: GateReport):
    assert promoted.decision == "promote"
    assert {each.name for each in promoted.rules} >= {*REQUIRED, *GAINS["interval"]}
    assert failed(promoted) == []


@pytest.mark.parametrize("missing", [*REQUIRED, *GAINS["interval"]])
def test_without_any_one_of_them_there_is_no_promotion(promoted: GateReport, missing: str):
    rest = [each for each in promoted.rules if each.name != missing]
    assert decide(rest) == "reject"
    assert replace(promoted, rules=rest).to_dict()["decision"] == "reject"
    assert decide([]) == "reject"


@pytest.mark.parametrize("name", [*REQUIRED, *GAINS["interval"]])
def test_unknown_is_let_through_for_few_rules_only(promoted: GateReport, name: str):
    rules = [
        replace(each, verdict="unknown") if each.name == name else each for each in promoted.rules
    ]
    assert decide(rules) == ("promote" if name in MAY_BE_UNKNOWN else "reject")


def test_halves_of_users_are_stable_and_even():
    numbers = halves_of(np.arange(20_000))
    assert numbers.mean() == pytest.approx(0.5, abs=0.02)
    assert numbers[:8].tolist() == halves_of(np.arange(8)).tolist()
    names = np.array([f"u{number}" for number in range(2000)], dtype=object)
    assert halves_of(names).mean() == pytest.approx(0.5, abs=0.05)
    assert halves_of(names[5:9]).tolist() == halves_of(names)[5:9].tolist()


def test_halves_contradict_each_other_only_significantly():
    assert halves_rule([found(0.01, 0.002), found(-0.001, 0.003)]).verdict == "fail"
    assert halves_rule([found(0.01, 0.004), found(-0.001, 0.003)]).verdict == "pass"
    assert halves_rule([found(0, 0), found(0, 0)]).verdict == "pass"
    assert halves_rule([found(0.1, float("nan")), found(0, 0.1)]).verdict == "insufficient"


def test_a_gain_of_one_half_of_the_users_alone_is_not_promoted():
    world = World(rows=12_000, users=1200)
    half = halves_of(np.arange(1200))[world.rows.user] == 1
    champion, better, worse = (world.model(blur=blur) for blur in (0.8, 0.0, 1.0))
    mixed = replace(better, p_click=np.where(half, better.p_click, worse.p_click))
    report = judged(world, champion, mixed)
    assert rule(report, "interval above zero").verdict == "pass"
    assert rule(report, "halves").verdict == "fail"
    assert report.decision == "reject"
    assert report.halves[0].estimate < 0 < report.halves[1].estimate


def test_delong_agrees_with_the_bootstrap_where_each_row_is_a_user_of_its_own():
    random = np.random.default_rng(4)
    labels = random.random(3000) < 0.3
    champion, challenger = (labels + random.normal(0, 2, 3000) for _ in range(2))
    gained = placements(labels, challenger) - placements(labels, champion)
    check = delong(labels, gained, 0.95)
    by_users = paired_auc_difference(
        labels, champion, challenger, np.arange(3000), resamples=2000, confidence=0.95, seed=1
    )
    assert check.estimate == pytest.approx(by_users.estimate, abs=1e-12)
    assert check.error == pytest.approx(by_users.error, rel=0.05)


def test_delong_equals_its_definition_by_pairs():
    labels = np.array([1, 1, 1, 0, 0, 0, 0], bool)
    before = np.array([0.9, 0.4, 0.4, 0.4, 0.3, 0.8, 0.1])
    after = np.array([0.9, 0.7, 0.5, 0.4, 0.3, 0.5, 0.1])

    def kernel(scores: np.ndarray) -> np.ndarray:
        one, other = scores[labels][:, None], scores[~labels][None]
        return (one > other) + 0.5 * (one == other)

    pairs = kernel(after) - kernel(before)
    wanted = pairs.mean(axis=1).var(ddof=1) / 3 + pairs.mean(axis=0).var(ddof=1) / 4
    check = delong(labels, placements(labels, after) - placements(labels, before), 0.95)
    assert check.estimate == pytest.approx(pairs.mean())
    assert check.error == pytest.approx(np.sqrt(wanted))


def test_delong_fails_a_contradiction_in_sign_and_points_out_an_odd_width():
    assert delong_rule(found(-0.01, 0.002), DeLong(0.01, 0.002, 0.006, 0.014)).verdict == "fail"
    assert delong_rule(found(0.01, 0.002), DeLong(0.01, 0.002, 0.006, 0.014)).verdict == "pass"
    assert delong_rule(found(0.01, 0.0001), DeLong(0.01, 0.002, 0.006, 0.014)).verdict == "unknown"
    assert delong_rule(found(0.01, 0.002), DeLong(*(float("nan"),) * 4)).verdict == "fail"


def test_the_champion_against_itself_must_differ_by_exactly_zero():
    assert self_rule(found(0, 0), promoted=False).verdict == "pass"
    assert self_rule(found(0, 0), promoted=True).verdict == "fail"
    assert self_rule(found(1e-12, 0), promoted=False).verdict == "fail"
    assert self_rule(found(float("nan"), 0), promoted=False).verdict == "fail"


def test_figures_that_are_no_numbers_or_out_of_order_fail():
    assert order_rule(found(0.01, 0.001), [0.7, 0.71]).verdict == "pass"
    assert order_rule(found(0.01, 0.001), [0.7, float("nan")]).verdict == "fail"
    assert order_rule(replace(found(0.01, 0.001), low=0.02), [0.7]).verdict == "fail"
    assert order_rule(replace(found(0.01, 0.001), high=float("nan")), [0.7]).verdict == "fail"
