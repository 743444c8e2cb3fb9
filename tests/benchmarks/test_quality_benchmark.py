"""The benchmark of data quality: faults are caught by name, clean days pass, figures have keys."""

import json

import pytest

from benchmarks.quality_catch import Row, faulty_days, outcome, report
from benchmarks.quality_faults import FAULTS
from benchmarks.quality_faults_kuairand import KUAIRAND
from benchmarks.quality_world import World, simulated
from driftune.quality.check import Check

PLANTED = ("user null", "price as text", "price moved rows", "prices 10% up", "domain gone")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = simulated(tmp_path_factory.mktemp("quality") / "world", 3, 3, 3, 400)
    made.settle(made.later[:2])
    return made


@pytest.mark.slow
@pytest.mark.ci
def test_a_clean_day_breaks_nothing_and_planted_faults_are_caught_by_name(world: World) -> None:
    last = world.later[-1:]
    assert world.clean(last) == {last[0]: []}
    faults = [fault for fault in FAULTS if fault.kind in PLANTED]
    rows = faulty_days(world, last, faults, 3, quick=True)
    assert {row["kind"] for row in rows} == set(PLANTED)
    assert [row for row in rows if not (row["caught"] and row["severity"] and row["named"])] == []


def test_there_are_as_many_kinds_as_promised_each_with_a_name_of_its_own() -> None:
    for faults in (FAULTS, KUAIRAND):
        kinds = [fault.kind for fault in faults]
        assert len(kinds) == len(set(kinds)) >= 40
        assert sum(fault.rates == (0.01, 0.1) for fault in faults) >= 25


def check(rule: str, severity: str, *about: str) -> Check:
    return Check(rule, severity, "It holds.", False, None, None, about)


def rows() -> list[Row]:
    null, gone = (next(each for each in FAULTS if each.kind == kind) for kind in PLANTED[::4])
    return [
        outcome(null, 0.01, [check("user_missing", "warning", "user_id")]),
        outcome(null, 0.1, [check("column_drift", "warning", "price")]),
        outcome(gone, 1.0, [check("domain_volume", "warning", "home · north")]),
        outcome(gone, 1.0, []),
    ]


def test_what_is_caught_under_another_name_or_too_mildly_is_counted_apart(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clean = [[], [check("column_drift", "warning")], [check("stale_day", "critical")], []]
    report(rows(), clean, 1.0)
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["benchmark"] == "quality_catch"
    assert (found["kinds"], found["days"], found["clean_days"]) == (2, 4, 4)
    assert found["caught_share"] == 0.75
    assert found["right_severity_share"] == 0.5
    assert found["right_column_share"] == 0.5
    assert found["false_critical_per_100_clean_days"] == 25
    assert found["false_warning_per_100_clean_days"] == 25
    assert found["missed"] == ["domain gone at 100%"]
    assert found["misnamed"] == ["user null at 10%"]


def test_a_report_without_clean_days_claims_nothing_of_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report(rows(), [], 1.0)
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["false_critical_per_100_clean_days"] is None
