"""Looks: the error over all of them stays at what was planned, and what each of them ends in."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from driftune.config.gate import Gate
from driftune.evaluation.bootstrap import PairedDifference
from driftune.evaluation.gate import GateReport
from driftune.evaluation.looks import next_bound, outcome, plan, spend
from driftune.evaluation.verdicts import GAINS, REQUIRED, Decision, Rule, Verdict

POLICY = Gate()


def look(rows: int, confidence: float | None, spent: float) -> dict[str, Any]:
    return {"rows": rows, "confidence": confidence, "spent": spent}


def followed(policy: Gate, rows: list[int], day_rows: int) -> tuple[list[float], list[float]]:
    """Bounds and errors spent of looks with so many rows."""
    planned = plan(policy, rows[0], day_rows, 1)
    looks: list[dict[str, Any]] = []
    for each in rows:
        confidence, spent, _ = spend(policy, planned, looks, each)
        looks.append(look(each, confidence, spent))
    bounds = [float(norm.ppf((1 + one["confidence"]) / 2)) for one in looks]
    return bounds, [one["spent"] for one in looks]


def crossings(rows: list[int], bounds: list[float], drift: float = 0.0) -> np.ndarray:
    """Of many challengers, at which look the first interval excludes zero; -1 never does.

    ``drift``: expected z at one row's root, of a true difference.
    """
    rng = np.random.default_rng(3)
    steps = np.sqrt(np.diff([0, *rows]))
    noise = rng.standard_normal((200_000, len(rows))) * steps
    z = noise.cumsum(axis=1) / np.sqrt(rows) + drift * np.sqrt(rows)
    crossed = np.abs(z) >= bounds
    return np.where(crossed.any(axis=1), crossed.argmax(axis=1), -1)


def test_bounds_are_those_of_the_published_table() -> None:
    # Five equal looks, O'Brien-Fleming-type spending of 0.025 on each side, as in textbooks.
    shares = np.arange(1, 6) / 5
    spent = 4 * norm.sf(norm.isf(0.0125) / np.sqrt(shares))
    bounds: list[float] = []
    for number, chance in enumerate(np.diff([0, *spent])):
        rows = list(range(100, 100 * (number + 1), 100))
        bounds.append(next_bound(rows, bounds, 100 * (number + 1), chance))
    assert bounds == pytest.approx([4.8769, 3.3569, 2.6803, 2.2898, 2.0310], abs=2e-4)


@pytest.mark.parametrize(
    "rows", [[350, 1350, 2350, 3350, 4350], [350, 700, 800, 3000, 3100], [2000, 2100, 2400]]
)
def test_the_error_over_all_looks_is_the_planned_one(rows: list[int]) -> None:
    policy = Gate(looks=len(rows))
    bounds, spent = followed(policy, rows, 1000)
    assert spent == sorted(spent)
    assert spent[-1] == pytest.approx(1 - policy.confidence)
    found = crossings(rows, bounds)
    rate = np.mean(found >= 0)
    assert rate == pytest.approx(1 - policy.confidence, abs=3 * np.sqrt(0.05 * 0.95 / len(found)))
    for number, least in enumerate(spent):
        by_then = np.mean((found >= 0) & (found <= number))
        assert by_then == pytest.approx(least, abs=0.0016)


@given(
    st.lists(st.integers(20, 3000), min_size=1, max_size=5),
    st.floats(0.6, 0.999),
    st.integers(1, 5000),
)
def test_no_error_is_left_or_overspent_however_rows_come(
    steps: list[int], confidence: float, day_rows: int
) -> None:
    policy = Gate(looks=len(steps), confidence=confidence)
    rows = [int(each) for each in np.cumsum(steps)]
    kept = [rows[0]]
    for each in rows[1:]:
        if each >= 1.05 * kept[-1]:
            kept.append(each)
    if len(kept) < len(rows):
        policy = Gate(looks=len(kept), confidence=confidence)
    planned = plan(policy, kept[0], day_rows, 1)
    looks: list[dict[str, Any]] = []
    for each in kept:
        level, spent, last = spend(policy, planned, looks, each)
        # No look is held to less than the whole error would hold it to.
        assert confidence - 1e-9 <= level < 1
        assert spent <= planned["error"] + 1e-12
        looks.append(look(each, level, spent))
        if last:
            break
    assert looks[-1]["spent"] == pytest.approx(planned["error"])


def test_a_first_look_keeps_most_of_its_power_and_later_ones_bring_the_rest() -> None:
    rows = [350, 1350, 2350, 3350, 4350]
    bounds, _ = followed(POLICY, rows, 1000)
    # A gain that one look at the first rows would see with a chance of 0.91.
    drift = 3.33 / np.sqrt(rows[0])
    found = crossings(rows, bounds, drift)
    assert np.mean(found == 0) > 0.83
    assert np.mean((found >= 0) & (found <= 1)) > 0.99


def test_one_look_alone_has_the_whole_confidence() -> None:
    for policy in (Gate(looks=1), Gate(wait=False)):
        confidence, spent, _ = spend(policy, plan(policy, 400, 1000, 1), [], 400)
        assert (confidence, spent) == (pytest.approx(0.95), pytest.approx(0.05))


def test_looks_without_a_judgement_spend_nothing() -> None:
    planned = plan(POLICY, 100, 500, 1)
    unjudged = [look(100, None, 0.0), look(400, None, 0.0)]
    seen = spend(POLICY, planned, unjudged, 900)
    assert seen == spend(POLICY, planned, [], 900)


def test_a_day_s_decisions_share_the_error_only_when_they_should() -> None:
    assert plan(POLICY, 100, 500, 4)["error"] == pytest.approx(0.0125)
    assert plan(Gate(correction="none"), 100, 500, 4)["error"] == pytest.approx(0.05)


def report(
    decision: Decision,
    low: float = -0.01,
    estimate: float = 0.01,
    high: float = 0.03,
    **rules: Verdict,
) -> GateReport:
    """A report whose rules pass but for the ones given, which make this decision."""
    if decision == "insufficient":
        rules["enough_rows"] = "insufficient"
    given = {name.replace("_", " "): verdict for name, verdict in rules.items()}
    made = [
        Rule(name, given.get(name, "pass"), None, "", "")
        for name in (*GAINS["interval"], *REQUIRED)
    ]
    difference = PairedDifference(
        champion=0.6,
        challenger=0.6 + estimate,
        estimate=estimate,
        error=0.01,
        freedom=400.0,
        low=low,
        high=high,
        rows=5000,
        positives=900,
        users=500,
        effective_users=400.0,
        resamples=1000,
        dropped=0,
    )
    found = GateReport(made, "ctr_auc", "ctcvr_auc", 0.95, difference=difference)
    assert found.decision == decision
    return found


UNSURE: dict[str, Verdict] = {"interval_above_zero": "fail", "guardrail": "pass"}


@pytest.mark.parametrize(
    ("given_report", "first", "last"),
    [
        (report("promote"), "promote", "promote"),
        (report("insufficient"), "wait", "insufficient"),
        (report("insufficient", guardrail="fail"), "reject", "reject"),
        (report("reject", **UNSURE), "wait", "reject"),
        (report("reject", minimum_effect="fail"), "wait", "reject"),
        (report("reject", estimate=-0.001, **UNSURE), "reject", "reject"),
        (report("reject", estimate=0.0001, high=0.001, **UNSURE), "reject", "reject"),
        (report("reject", high=float("nan"), **UNSURE), "reject", "reject"),
        (report("reject", **{**UNSURE, "guardrail": "fail"}), "reject", "reject"),
        (report("reject", interval_above_zero="fail", calibration="fail"), "reject", "reject"),
        (GateReport([], "ctr_auc", "ctcvr_auc", 0.95), "reject", "reject"),
    ],
)
def test_what_a_look_ends_in(given_report: GateReport, first: str, last: str) -> None:
    assert outcome(given_report, POLICY, last=False) == first
    assert outcome(given_report, POLICY, last=True) == last


def test_waiting_for_certainty_can_be_switched_off_and_for_data_it_stays() -> None:
    policy = Gate(wait=False)
    assert outcome(report("reject", **UNSURE), policy, last=False) == "reject"
    assert outcome(report("insufficient"), policy, last=False) == "wait"
