"""The gain to be expected: shrunken by what earlier challengers gained, right on the average."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftune.config.gate import Gate
from driftune.evaluation.bootstrap import PairedDifference
from driftune.evaluation.expected import SPREAD, Prior, expected_rules, fit_prior, posterior
from driftune.evaluation.looks import outcome, plan, spend
from driftune.evaluation.verdicts import GAINS, REQUIRED, decide
from tests.evaluation.gate_worlds import POLICY, World, failed, rule
from tests.evaluation.gate_worlds import decide as judged

EXPECTED = POLICY.model_copy(update={"rule": "expected_gain"})
SMALL = st.floats(-0.05, 0.05)
SIZE = st.floats(1e-4, 0.05)


def difference(estimate: float, error: float, freedom: float = 1e6) -> PairedDifference:
    """A difference with its standard error; the rest does not matter."""
    low, high = estimate - 2 * error, estimate + 2 * error
    return PairedDifference(
        0.7, 0.7 + estimate, estimate, error, freedom, low, high, 1000, 300, 500, 500, 1000, 0
    )


@given(SMALL, SIZE, SMALL, SIZE)
def test_it_lies_between_the_estimate_and_the_others(
    mean: float, spread: float, estimate: float, error: float
) -> None:
    found = posterior(Prior(mean, spread, 9), difference(estimate, error), 0.003)
    least, most = sorted((mean, estimate))
    assert least - 1e-12 <= found.mean <= most + 1e-12
    assert found.spread <= min(spread, error) * (1 + 1e-5)
    assert 0 <= found.loss_chance <= 1


def test_the_fewer_users_the_less_an_estimate_counts() -> None:
    prior = Prior(0.0, 0.005, 9)
    means = [posterior(prior, difference(0.01, 0.004, each), 0.003).mean for each in (4, 20, 1e6)]
    assert means == sorted(means)
    few = posterior(prior, difference(0.01, 0.004, 2.0), 0.003)
    assert np.isnan([few.mean, few.spread, few.loss_chance]).all()


def test_the_prior_is_that_of_many_challengers() -> None:
    rng = np.random.default_rng(5)
    errors = rng.uniform(0.002, 0.006, 900)
    gains = rng.normal(0.002, 0.004, 900)
    prior = fit_prior(gains + errors * rng.standard_normal(900), errors)
    assert prior.mean == pytest.approx(0.002, abs=4 * 0.0058 / 30)
    assert prior.spread == pytest.approx(0.004, rel=0.15)
    assert prior.challengers == 900


def test_without_any_it_is_no_gain_and_the_first_ones_move_it_little() -> None:
    assert fit_prior([], []) == Prior(0.0, SPREAD, 0)
    assert fit_prior([np.nan, 0.1], [0.001, 0.0]) == Prior(0.0, SPREAD, 0)
    one = fit_prior([0.02], [0.003])
    assert 0 < one.mean < 0.02 / 4 and one.spread == SPREAD


@pytest.mark.parametrize("seed", range(3))
def test_what_is_promoted_gains_as_expected_and_rarely_loses(seed: int) -> None:
    rng = np.random.default_rng([seed, 11])
    truth, errors = rng.normal(0.001, 0.004, 3000), rng.uniform(0.002, 0.008, 3000)
    seen = truth + errors * rng.standard_normal(3000)
    prior = fit_prior(seen[:300], errors[:300])
    found = [
        posterior(prior, difference(*each), 0.003)
        for each in zip(seen[300:], errors[300:], strict=True)
    ]
    truth, seen, errors = truth[300:], seen[300:], errors[300:]
    chosen = np.array([each.mean > 0 and each.loss_chance <= 0.05 for each in found])
    said, real = np.array([each.mean for each in found])[chosen], truth[chosen]
    # By four standard errors of the mean of what remains unknown.
    assert real.mean() == pytest.approx(said.mean(), abs=4 * 0.003 / np.sqrt(chosen.sum()) + 3e-4)
    assert seen[chosen].mean() > 1.3 * real.mean()
    assert (real < -0.003).mean() < 0.05
    assert real.sum() > truth[seen / errors > 1.96].sum()


def test_the_gate_promotes_by_it_and_tells_it() -> None:
    world = World()
    report = judged(world, world.model(blur=1.0), world.model(blur=0.1), EXPECTED)
    assert report.decision == "promote" and failed(report) == []
    assert report.posterior is not None and report.difference is not None
    assert 0 < report.posterior.mean < report.difference.estimate
    assert "to be expected" in rule(report, "expected gain").sentence
    assert report.to_dict()["posterior"]["mean"] == report.posterior.mean
    for missing in (*REQUIRED, *GAINS["expected_gain"]):
        rest = [each for each in report.rules if each.name != missing]
        assert replace(report, rules=rest).decision == "reject"
    assert decide(report.rules) == "reject"


def test_a_worse_one_and_the_champion_itself_are_rejected() -> None:
    world = World()
    worse = judged(world, world.model(blur=0.1), world.model(blur=1.0), EXPECTED)
    assert set(GAINS["expected_gain"]) <= set(failed(worse))
    champion = world.model(blur=0.5)
    assert judged(world, champion, champion, EXPECTED).decision == "reject"


def test_one_whose_own_rows_show_a_loss_is_rejected_whatever_others_gained() -> None:
    prior = Prior(0.02, 0.0005, 400)
    worse = difference(-0.012, 0.003, 200)
    found = posterior(prior, worse, 0.003)
    assert found.mean > 0 and found.loss_chance < 0.05
    verdicts = {each.name: each.verdict for each in expected_rules(prior, found, worse, EXPECTED)}
    assert verdicts == dict(zip(GAINS["expected_gain"], ("pass", "pass", "fail"), strict=True))


def test_one_broken_champion_leaves_the_others_held_together() -> None:
    rng = np.random.default_rng(3)
    gains = np.append(rng.normal(0, 0.004, 50), 0.2)
    assert fit_prior(gains, np.full(51, 0.004)).spread < 0.005


def test_by_the_interval_nothing_is_said_of_it() -> None:
    world = World()
    report = judged(world, world.model(blur=1.0), world.model(blur=0.1))
    assert report.posterior is None
    assert not {"posterior", "rule"} & set(report.to_dict())


def test_looks_spend_no_error_and_it_waits_while_it_may_be_better() -> None:
    policy = Gate(rule="expected_gain")
    planned = plan(policy, 1000, 1000, 8)
    first = spend(policy, planned, [], 1000)
    assert first == (policy.confidence, 0.0, False)
    looks = [{"rows": 1000, "confidence": policy.confidence, "spent": 0.0}] * 4
    assert spend(policy, planned, looks, 5000) == (policy.confidence, 0.0, True)
    world = World()
    report = judged(world, world.model(blur=0.50), world.model(blur=0.45), EXPECTED)
    report = replace(
        report,
        difference=difference(0.002, 0.004),
        rules=[
            replace(each, verdict="fail") if each.name == "chance of a loss" else
            replace(each, verdict="pass") for each in report.rules
        ],
    )  # fmt: skip
    assert outcome(report, EXPECTED, last=False) == "wait"
    assert outcome(report, EXPECTED, last=True) == "reject"
    hopeless = replace(report, posterior=replace(report.posterior, mean=-0.001))
    assert outcome(hopeless, EXPECTED, last=False) == "reject"
