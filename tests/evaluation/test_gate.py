"""The gate: when it promotes, when it rejects, and what it tells a reviewer."""

import json
from dataclasses import replace

import numpy as np
import pytest

from driftune.evaluation.gate import Scores, judge
from driftune.evaluation.verdicts import GAINS, OF_CONVERSIONS, REQUIRED
from tests.evaluation.gate_worlds import POLICY, ROWS, World, decide, failed, rule, sigmoid


@pytest.fixture
def world() -> World:
    return World()


def test_a_better_challenger_is_promoted(world: World):
    report = decide(world, world.model(blur=1.0), world.model(blur=0.1))
    assert report.decision == "promote"
    assert failed(report) == []
    assert report.challenger["ctr_auc"] > report.champion["ctr_auc"]
    assert report.difference is not None
    assert report.difference.champion == pytest.approx(report.champion["ctr_auc"])
    assert report.difference.low > 0
    sentence = rule(report, "interval above zero").sentence
    assert sentence.startswith(f"CTR-AUC {report.challenger['ctr_auc']:.3f} vs ")
    assert "(95% interval +" in sentence
    assert sentence.endswith("lies above zero")


def test_a_worse_challenger_is_rejected(world: World):
    report = decide(world, world.model(blur=0.1), world.model(blur=1.0))
    assert report.decision == "reject"
    assert {"interval above zero", "minimum effect"} <= set(failed(report))
    assert rule(report, "interval above zero").sentence.endswith("lies below zero")


@pytest.mark.parametrize("min_effect", [0.0, 0.002])
def test_a_champion_against_itself_is_never_promoted(min_effect: float):
    policy = POLICY.model_copy(update={"min_effect": min_effect, "guardrail_tolerance": 0.0})
    for seed in range(5):
        world = World(seed)
        champion = world.model(blur=0.5)
        assert decide(world, champion, champion, policy, seed).decision == "reject"


def test_rows_are_ranked_by_one_place_and_held_against_clicks_where_they_were_shown(
    world: World,
) -> None:
    champion, challenger = world.model(blur=1.0), world.model(blur=0.1)
    plain = decide(world, champion, challenger)

    def stated(side: Scores) -> Scores:
        # At the first place all is clicked more often, in the same order.
        high = sigmoid(np.log(side.p_click / (1 - side.p_click)) + 3)
        return Scores(high, high * side.p_ctcvr / side.p_click, side)

    report = decide(world, stated(champion), stated(challenger))
    assert report.decision == "promote"
    assert report.calibration == plain.calibration
    assert report.log_loss == plain.log_loss
    for name in ("ctr_log_loss", "ctr_calibration", "ctr_ece", "ctcvr_log_loss", "ctr_auc"):
        assert report.challenger[name] == pytest.approx(plain.challenger[name])
    # What is shown is an input like what ranks.
    broken = replace(challenger, p_click=np.full(ROWS, np.nan))
    refused = decide(world, champion, replace(challenger, shown=broken))
    assert refused.decision == "reject"
    assert failed(refused) == ["challenger (as shown) pCTR"]


@pytest.mark.slow
def test_equally_good_models_are_promoted_no_more_often_than_the_interval_allows():
    worlds, allowed = 600, (1 - POLICY.confidence) / 2
    promoted = 0
    for seed in range(worlds):
        world = World(seed, rows=1500, users=150)
        report = decide(world, world.model(blur=0.6), world.model(blur=0.6), seed=seed)
        promoted += report.decision == "promote"
    assert promoted <= worlds * allowed + 4 * (worlds * allowed * (1 - allowed)) ** 0.5


def test_a_gain_below_the_minimum_effect_is_rejected(world: World):
    policy = POLICY.model_copy(update={"min_effect": 0.2})
    report = decide(world, world.model(blur=1.0), world.model(blur=0.1), policy)
    assert report.decision == "reject"
    assert failed(report) == ["minimum effect"]


def test_the_metric_of_the_policy_decides_and_the_other_one_guards(world: World):
    policy = POLICY.model_copy(update={"metric": "ctcvr_auc"})
    champion = world.model(blur=0.5, buy_blur=2.0)
    challenger = Scores(champion.p_click, world.model(blur=0.1, buy_blur=0.1).p_ctcvr)
    report = decide(world, champion, challenger, policy)
    assert report.decision == "promote"
    assert (report.metric, report.guardrail_metric) == ("ctcvr_auc", "ctr_auc")
    assert report.difference is not None
    assert report.difference.challenger == pytest.approx(report.challenger["ctcvr_auc"])
    assert report.guardrail is not None
    assert report.guardrail.estimate == 0
    assert decide(world, champion, challenger).decision == "reject"


def test_the_guardrail_stops_a_challenger_that_loses_conversions(world: World):
    champion, challenger = world.model(blur=1.0), world.model(blur=0.1)
    harmful = Scores(challenger.p_click, challenger.p_click * sigmoid(-3 * world.buy_logit))
    report = decide(world, champion, harmful)
    assert report.decision == "reject"
    assert failed(report) == ["guardrail"]
    assert "shows a loss beyond the tolerated 0.01" in rule(report, "guardrail").sentence


@pytest.mark.parametrize("buy_blur", [0.8, 1.5])
def test_a_loss_that_the_guardrail_does_not_show_holds_up_nothing(buy_blur: float):
    world = World(rows=1500, users=300, buy=-1.5)
    champion = world.model(blur=1.0)
    challenger = Scores(world.model(blur=0.1).p_click, world.model(1.0, buy_blur).p_ctcvr)
    report = decide(world, champion, challenger)
    assert report.guardrail is not None
    assert report.guardrail.low < -POLICY.guardrail_tolerance < report.guardrail.high
    assert rule(report, "guardrail").verdict == "pass"
    assert "does not show a loss" in rule(report, "guardrail").sentence
    assert report.decision == "promote"


def test_a_stricter_confidence_asks_more_of_the_gain_and_excuses_no_loss(world: World):
    champion, challenger = world.model(blur=0.55), world.model(blur=0.3)
    usual = decide(world, champion, challenger)
    strict = judge(world.rows, champion, challenger, POLICY, seed=7, confidence=0.9999999)
    assert usual.decision == "promote"
    assert (strict.confidence, strict.decision) == (0.9999999, "reject")
    assert failed(strict) == ["interval above zero"]
    harmful = Scores(challenger.p_click, challenger.p_click * sigmoid(-3 * world.buy_logit))
    lost = judge(world.rows, champion, harmful, POLICY, seed=7, confidence=0.9999999)
    assert rule(lost, "guardrail").verdict == "fail"


def test_too_few_conversions_leave_the_guardrail_unknown_and_promote():
    world = World(buy=-6)
    champion, better = world.model(blur=1.0), world.model(blur=0.1)
    report = decide(world, champion, Scores(better.p_click, 1 - champion.p_ctcvr))
    assert 0 < report.champion["conversions"] < POLICY.min_positives
    assert report.decision == "promote"
    assert rule(report, "guardrail").verdict == "unknown"
    assert "cannot be judged" in rule(report, "guardrail").sentence


def test_calibration_fails_only_outside_the_band_and_further_off_than_the_champion(world: World):
    champion, better = world.model(blur=1.0), world.model(blur=0.1)

    def times(factor: float, scores: Scores) -> Scores:
        return Scores(scores.p_click * factor, scores.p_ctcvr)

    low = decide(world, champion, times(0.5, better))
    assert low.decision == "reject"
    assert failed(low) == ["calibration"]
    assert "outside 0.7 to 1.4 and further from 1" in rule(low, "calibration").sentence
    less_off = decide(world, times(0.4, champion), times(0.5, better))
    assert less_off.decision == "promote"
    assert "but no further from 1" in rule(less_off, "calibration").sentence
    assert decide(world, times(0.5, champion), times(0.9, better)).decision == "promote"


def test_the_report_is_json_safe_and_the_same_for_the_same_seed(world: World):
    champion, challenger = world.model(blur=1.0), world.model(blur=0.1)
    report = decide(world, champion, challenger).to_dict()
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert report == decide(world, champion, challenger).to_dict()
    other = decide(world, champion, challenger, seed=8).to_dict()
    assert other["difference"]["low"] != report["difference"]["low"]
    assert other["difference"]["estimate"] == report["difference"]["estimate"]


def test_what_is_not_a_number_is_none_in_the_report(world: World):
    scores = world.model(blur=0.3)
    world.rows = replace(world.rows, convert=np.zeros(ROWS))
    report = decide(world, scores, scores).to_dict()
    assert report["challenger"]["ctcvr_auc"] is None
    assert report["guardrail"]["low"] is None
    assert rule(decide(world, scores, scores), "guardrail").verdict == "unknown"


def test_small_differences_are_written_with_enough_decimals(world: World):
    champion = world.model(blur=1.0)
    swapped = champion.p_click.copy()
    swapped[[0, 1]] = swapped[[1, 0]]
    report = decide(world, champion, Scores(swapped, champion.p_ctcvr))
    assert report.difference is not None
    assert 0 < abs(report.difference.estimate) < 0.0005
    assert "+0.000 " not in rule(report, "interval above zero").sentence.split("(")[0]


def test_a_log_without_conversions_is_judged_by_clicks_alone() -> None:
    world = World()
    champion, challenger = world.model(1.0), world.model(0.3)
    judged = decide(world, champion, challenger)
    world.rows = replace(world.rows, convert=None)
    alone = decide(world, champion, challenger)
    assert alone.decision == judged.decision == "promote"
    assert alone.difference == judged.difference
    assert alone.guardrail is None and alone.guardrail_metric is None
    told = [rule for rule in judged.rules if rule.name in OF_CONVERSIONS]
    assert [rule for rule in judged.rules if rule not in told] == alone.rules
    assert not [name for name in alone.champion if "ctcvr" in name or "conver" in name]
    names = {rule.name for rule in alone.rules}
    for name in {*REQUIRED, *GAINS["interval"]} - set(OF_CONVERSIONS):
        kept = [rule for rule in alone.rules if rule.name != name]
        assert name in names and replace(alone, rules=kept).decision == "reject"
