"""What measured values come to: days in a row, evidence over all domains, what holds it up."""

from dataclasses import replace
from typing import Any

import pytest

from driftune.config.drift import Drift
from driftune.config.triggers import Trigger
from driftune.drift.judgement import Judgement, Past
from driftune.drift.policy import decide
from driftune.drift.rules import NO_HISTORY, WAITS
from driftune.drift.triggers.judge import Reading, judged_readings, with_triggers
from driftune.drift.variation import Verdict
from driftune.registry.records import State

NO_PAST = Past()
STABLE = Judgement(State.STABLE, "no evidence", 0.2, "Nothing moved beyond the usual.")


def price(action: str = "adapt", **values: Any) -> Trigger:
    """A trigger of prices, above 0.25 by default."""
    given = {"column": "price", "method": "wasserstein", "above": 0.25, "action": action}
    return Trigger.model_validate({**given, **values})


def judged(entry: Trigger, value: float | None, past: Past = NO_PAST) -> Judgement:
    """A stable domain's judgement with this reading."""
    return with_triggers(STABLE, judged_readings([Reading(entry, value)], past, 0.01), past)


def test_a_value_above_its_threshold_is_drift() -> None:
    found = judged(price(), 0.31)
    assert (found.state, found.rule, found.shifted) == ("drifted", "price (wasserstein)", 0)
    assert found.score == pytest.approx(1.24)
    assert found.sentence == (
        "Drifted: price, Wasserstein 0.31 above 0.25. "
        "By the signals: nothing moved beyond the usual."
    )


@pytest.mark.parametrize("value", [0.25, 0.1, None])
def test_one_that_does_not_pass_it_changes_nothing(value: float | None) -> None:
    found = judged(price(), value)
    assert replace(found, triggers=()) == STABLE
    assert [score.beyond for score in found.triggers] == [False]


def test_days_in_a_row_are_counted_by_the_threshold_of_now() -> None:
    entry = price(days=3)
    key = entry.measure
    before = Past(values=[{key: 0.3}, {key: 0.26}])
    assert judged(entry, 0.4, before).state == "drifted"
    assert judged(entry, 0.4, before).shifted == 2
    gap = Past(values=[{key: 0.3}, {}])
    found = judged(entry, 0.4, gap)
    assert (found.state, found.rule) == (State.WATCHED, "waits for another day")
    assert found.sentence.startswith("Watched until 3 days in a row: price, Wasserstein 0.4 above")


def test_a_cool_down_and_a_challenger_that_waits_hold_it_up() -> None:
    assert judged(price(), 0.4, Past(cooling=True)).rule == "cool-down"
    assert judged(price(), 0.4, Past(waits_for="data")).rule == WAITS


@pytest.mark.parametrize(("action", "state"), [("alert", State.STABLE), ("watch", State.WATCHED)])
def test_others_adapt_nothing(action: str, state: State) -> None:
    found = judged(price(action), 0.4)
    assert found.state == state
    assert (found.alert is not None) == (action == "alert")


@pytest.mark.parametrize("action", ["adapt", "watch", "alert"])
def test_too_little_history_stays_too_little(action: str) -> None:
    unknown = Judgement(State.INSUFFICIENT, NO_HISTORY, None, "Too little history.")
    readings = judged_readings([Reading(price(action), 0.4)], Past(), 0.0)
    found = with_triggers(unknown, readings, Past())
    assert (found.state, found.rule, found.score) == (State.INSUFFICIENT, NO_HISTORY, None)


def test_p_values_that_adapt_are_evidence_among_all_domains() -> None:
    """Of Benjamini and Hochberg's twenty p-values at 0.05 one must be below 0.0025."""
    entry = price(method="ks", above=None, p=0.01)
    policy = Drift(triggers=["calibration", entry])
    quiet = Verdict(p=0.5, square=0.0, usual=0.0)
    keys = [f"d{number}" for number in range(10)]
    verdicts = {key: {"calibration": quiet} for key in keys}
    facts: dict[str, Any] = {key: {} for key in keys}

    def first(value: float) -> Judgement:
        readings = {key: [Reading(entry, value if key == "d0" else 0.5)] for key in keys}
        return decide(policy, verdicts, facts, {}, readings)["d0"]

    assert first(0.002).state == "drifted"
    held = first(0.004)
    assert held.state == State.STABLE
    assert [(score.beyond, score.fired) for score in held.triggers] == [(True, False)]


def test_without_signals_that_decide_the_thresholds_do() -> None:
    policy = Drift(triggers=[price()])
    readings = {"a": [Reading(price(), 0.3)], "b": [Reading(price(), 0.2)]}
    found = decide(policy, {"a": {}, "b": {}}, {"a": {}, "b": {}}, {}, readings)
    assert (found["a"].state, found["b"].state) == ("drifted", State.STABLE)
