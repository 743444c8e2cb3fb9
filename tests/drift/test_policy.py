"""Policy: which rule decides, what is never acted on, and the sentence."""

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from driftune.config.drift import Drift
from driftune.drift.policy import Judgement, Past, critical, decide
from driftune.drift.variation import Verdict

POLICY = Drift()
TOLD: dict[str, Any] = {
    "calibration": {
        "rows": [
            {"name": "noodles", "from": 1.0, "to": 1.5, "weight": 9.0},
            {"name": "coffee", "from": 1.0, "to": 0.98, "weight": 1.0},
        ]
    },
    "auc": {"from": 0.71, "to": 0.66},
    "category_shown": {
        "rows": [
            {"name": "noodles", "from": 0.2, "to": 0.29},
            {"name": "coffee", "from": 0.3, "to": 0.24},
        ]
    },
}


def found(p: float, effect: float = 0.3) -> Verdict:
    """A verdict with this p-value and effect."""
    return Verdict(p, effect**2, 0.0)


def one(past: Past | None = None, policy: Drift = POLICY, **verdicts: Verdict) -> Judgement:
    """The judgement of a single domain."""
    given_past = {} if past is None else {"home": past}
    return decide(policy, {"home": verdicts}, {"home": TOLD}, given_past)["home"]


@given(st.lists(st.floats(1e-9, 1), min_size=1, max_size=40))
def test_the_bound_is_benjamini_and_hochberg_s(p_values: list[float]) -> None:
    limit = critical(p_values, 0.05)
    kept = false_discovery_control(p_values) <= 0.05
    assert [p <= limit for p in p_values] == kept.tolist()


def test_strong_evidence_triggers_at_once_and_says_what_moved() -> None:
    judged = one(calibration=found(1e-7), auc=found(1e-5, 0.05))
    assert (judged.state, judged.rule) == ("drifted", "strong evidence")
    assert judged.score is not None and judged.score > 2
    assert judged.sentence == (
        "Drifted: clicks against predictions: noodles ×1.50, coffee ×0.98; "
        "champion's AUC 0.710 → 0.660."
    )


def test_traffic_that_does_not_hurt_the_champion_is_told_and_triggers_nothing() -> None:
    judged = one(calibration=found(0.4), category_shown=found(1e-30))
    assert (judged.state, judged.rule) == ("stable", "champion not hurt")
    assert judged.moved == ("category_shown",)
    assert "noodles +9 points, coffee −6 points" in judged.sentence
    assert judged.score is not None and judged.score < 1


def test_weaker_evidence_waits_for_another_day() -> None:
    judged = one(calibration=found(0.008), auc=found(0.6))
    assert (judged.state, judged.rule) == ("watched", "waits for another day")
    assert judged.score is not None and judged.score < 1
    again = one(Past([{"calibration": 0.009}]), calibration=found(0.008), auc=found(0.6))
    assert (again.state, again.rule) == ("drifted", "evidence on several days")
    assert again.score == 1
    other = one(Past([{"auc": 0.009}]), calibration=found(0.008), auc=found(0.6))
    assert other.state == "watched"
    late = one(Past([{}, {}, {"calibration": 0.009}]), calibration=found(0.008), auc=found(0.6))
    assert late.state == "watched"


def test_past_evidence_without_today_s_triggers_nothing() -> None:
    past = Past([{"calibration": 1e-9}, {"calibration": 1e-9}])
    assert one(past, calibration=found(0.2)).state == "stable"


def test_an_effect_below_the_minimum_is_no_drift() -> None:
    judged = one(calibration=found(1e-20, 0.04), auc=found(1e-20, 0.002))
    assert (judged.state, judged.rule) == ("stable", "below the minimum effect")
    assert judged.score is not None and judged.score < 1


def test_a_champion_that_has_just_changed_is_watched() -> None:
    judged = one(Past(cooling=True), calibration=found(1e-9))
    assert (judged.state, judged.rule) == ("watched", "cool-down")


@pytest.mark.parametrize(
    ("waits_for", "p", "state"),
    [
        ("data", 1e-7, "watched"),
        ("data", 0.005, "watched"),
        ("certainty", 0.005, "watched"),
        ("certainty", 1e-7, "drifted"),
    ],
)
def test_a_challenger_that_waits_gives_way_to_strong_evidence_once_it_was_judged(
    waits_for: str, p: float, state: str
) -> None:
    past = Past([{"calibration": 0.005}], waits_for=waits_for)
    judged = one(past, calibration=found(p), auc=found(0.5))
    assert judged.state == state
    assert (judged.rule == "a challenger waits") == (state == "watched")


def test_what_is_due_waits_for_a_challenger_without_data() -> None:
    due = Past(follow_up=date(2026, 3, 5), age=9)
    assert one(replace(due, waits_for="data"), auc=found(0.5)).state == "stable"
    assert one(replace(due, waits_for="certainty"), auc=found(0.5)).state == "drifted"


def test_a_shift_that_was_adapted_to_is_followed_up() -> None:
    past = Past(follow_up=date(2026, 3, 9))
    quiet, cooling = one(past, auc=found(0.6)), one(replace(past, cooling=True), auc=found(1e-9))
    for judged in (quiet, cooling):
        assert (judged.state, judged.rule) == ("drifted", "follow-up")
        assert judged.sentence.startswith("Follow-up of the drift on 9 March. ")
    assert quiet.score is not None and quiet.score < 1
    assert one(past, auc=found(1e-9)).rule == "strong evidence"


def test_a_champion_of_age_is_fine_tuned_without_evidence() -> None:
    judged = one(Past(age=15), auc=found(0.6))
    assert (judged.state, judged.rule) == ("drifted", "age")
    assert judged.sentence.startswith("Not fine-tuned for 15 days. ")
    both = one(Past(age=15, follow_up=date(2026, 3, 9)), auc=found(0.6))
    assert both.rule == "follow-up"


def test_without_a_deciding_signal_nothing_is_stable() -> None:
    judged = one(category_shown=found(0.5))
    assert (judged.state, judged.score) == ("insufficient", None)


def test_more_domains_ask_for_more_evidence() -> None:
    policy = POLICY.model_copy(update={"alpha": 0.5})
    alone = {"home": {"calibration": found(0.01)}}
    many = alone | {f"d{n}": {"calibration": found(0.5)} for n in range(50)}
    told = dict.fromkeys(many, TOLD)
    assert decide(policy, alone, told, {})["home"].state == "drifted"
    assert decide(policy, many, told, {})["home"].state == "watched"


def test_false_alarms_of_domains_without_drift_are_rare() -> None:
    rng = np.random.default_rng(31)
    alarms = 0
    for _ in range(200):
        verdicts = {
            f"d{n}": {name: found(float(rng.random())) for name in ("calibration", "auc")}
            for n in range(20)
        }
        judged = decide(POLICY, verdicts, dict.fromkeys(verdicts, TOLD), {})
        alarms += sum(each.state == "drifted" for each in judged.values())
    # At most alpha for each of two signals: 8 of 4,000.
    assert alarms <= 18


@pytest.mark.parametrize("days", [4, 9])
def test_more_days_than_there_are_cannot_be_asked_for(days: int) -> None:
    with pytest.raises(ValueError, match="days must not be more than of"):
        Drift.model_validate({"confirm": {"days": days, "of": 3}})


def test_a_drift_began_where_its_evidence_did() -> None:
    weak, none = {"auc": 0.009}, {"auc": 0.5}
    for days, began in (
        ([], 0),
        ([none, weak], 2),
        ([weak, weak, none], 2),
        ([none, none, weak], 0),
        ([{"calibration": 1e-9}], 0),
    ):
        judged = one(Past(days), auc=found(1e-9))
        assert (judged.state, judged.shifted) == ("drifted", began), days
    assert one(auc=found(0.5)).shifted is None
    follow_up = Past(follow_up=date(2026, 3, 9), shifted=5)
    assert one(follow_up, auc=found(0.5)).shifted == 5
