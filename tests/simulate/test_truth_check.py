"""Comparing decisions with the planted truth."""

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftune.simulate import SimulationConfig, check_against_truth, demo_config, write_truth

DEMO = demo_config()
NORTH, HARBOUR, OLD_TOWN = DEMO.events
DECISIONS = st.lists(
    st.fixed_dictionaries(
        {
            "domain": st.sampled_from([*DEMO.domains, "nowhere"]),
            "day": st.sampled_from([day.isoformat() for day in DEMO.calendar]),
            "judged": st.booleans(),
        }
    ),
    max_size=20,
)


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("truth") / "deep" / "truth.json"
    write_truth(DEMO, path)
    return path


def decision(domain: str, day: date, judged: bool = True) -> dict[str, Any]:
    return {"domain": domain, "day": day.isoformat(), "judged": judged}


def test_truth_names_the_events_and_rebuilds_the_configuration(truth: Path) -> None:
    record = json.loads(truth.read_text(encoding="utf-8"))
    assert [event["domain"] for event in record["events"]] == [e.domain for e in DEMO.events]
    assert SimulationConfig.model_validate(record["config"]) == DEMO


def test_all_found_in_time_and_nothing_else(truth: Path) -> None:
    made = [decision(event.domain, event.day + timedelta(days=1)) for event in DEMO.events]
    check = check_against_truth(truth, made)
    assert (check.planted, check.found, check.false_domains, check.missed) == (3, 3, [], [])
    assert check.sentence() == "planted shifts 3, found 3; stable domains fine-tuned 0"


@pytest.mark.parametrize(("late", "within", "found"), [(0, 0, 1), (1, 0, 0), (2, 1, 0), (2, 2, 1)])
def test_an_event_is_found_only_in_time(truth: Path, late: int, within: int, found: int) -> None:
    made = [decision(NORTH.domain, NORTH.day + timedelta(days=late))]
    check = check_against_truth(truth, made, within_days=within)
    assert check.found == found
    assert (NORTH in check.missed) == (found == 0)
    assert check.false_domains == []


@pytest.mark.parametrize("judged", [True, False])
def test_a_shift_is_found_only_by_a_decision_that_the_gate_has_judged(
    truth: Path, judged: bool
) -> None:
    check = check_against_truth(truth, [decision(NORTH.domain, NORTH.day, judged)])
    assert check.found == judged
    stable = decision("home · harbour", NORTH.day, judged)
    assert check_against_truth(truth, [stable]).false_domains == ["home · harbour"]


def test_a_decision_before_the_event_or_in_a_stable_domain_is_false(truth: Path) -> None:
    early = decision(HARBOUR.domain, HARBOUR.day - timedelta(days=1))
    stable = decision("home · harbour", OLD_TOWN.day)
    check = check_against_truth(truth, [stable, early, stable])
    assert check.false_domains == ["home · harbour", HARBOUR.domain]
    assert check.found == 0
    assert check.sentence() == "planted shifts 3, found 0; stable domains fine-tuned 2"


@settings(max_examples=60, deadline=None, derandomize=True)
@given(made=DECISIONS, more=DECISIONS)
def test_more_decisions_never_find_less_nor_forgive_false_ones(
    truth: Path, made: list[dict[str, str]], more: list[dict[str, str]]
) -> None:
    fewer, all_of_them = check_against_truth(truth, made), check_against_truth(truth, made + more)
    assert fewer.found + len(fewer.missed) == fewer.planted == 3
    assert all_of_them.found >= fewer.found
    assert set(all_of_them.false_domains) >= set(fewer.false_domains)


def test_a_negative_delay_is_refused(truth: Path) -> None:
    with pytest.raises(ValueError, match="within_days"):
        check_against_truth(truth, [], within_days=-1)
