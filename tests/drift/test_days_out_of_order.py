"""A day that comes after a later one: its drift, its claims, and who is checked on it."""

import logging
from datetime import date

import pytest

from driftune.adaptation.adapt import adapt
from driftune.drift.detect import decide_day
from driftune.drift.measure import measure_day
from driftune.drift.windows import DomainWindow, draw_windows
from driftune.guard.check import check_champions
from driftune.project import Project
from driftune.registry.ledger import Ledger
from driftune.registry.records import Decision
from tests.conftest import DOMAINS, World, impressions
from tests.crowning import DOMAIN, KEY, bring, crown, pending, random_adapter


def decided(world: World, day: date) -> tuple[dict[str, DomainWindow], dict[str, Decision]]:
    """The day's windows and decisions by domain."""
    with Ledger(world.config) as ledger:
        windows = draw_windows(world.config, ledger, day)
        decide_day(world.config, ledger, windows, measure_day(world.config, windows))
        rows = [row for row in ledger.decisions() if row.day == day.isoformat()]
    return {each.domain: each for each in windows}, {row.domain: row for row in rows}


@pytest.mark.slow
@pytest.mark.ci
def test_a_day_that_comes_late_is_compared_as_if_it_had_come_in_time(trained_world: World) -> None:
    world = trained_world
    late, later = world.day(3), world.day(4)
    bring(world, later)
    windows, _ = decided(world, later)
    reference = world.config.reference.days
    assert {tuple(each.reference) for each in windows.values()} == {tuple(reference)}
    bring(world, late, impressions(late, 2400))
    windows, rows = decided(world, late)
    assert {tuple(each.reference) for each in windows.values()} == {tuple(reference)}
    assert set(rows) == set(DOMAINS)
    assert {row.state for row in rows.values()} <= {"stable", "watched"}


@pytest.mark.slow
@pytest.mark.ci
def test_a_champion_of_a_later_day_neither_is_judged_by_it_nor_gives_way_to_it(
    trained_world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "driftune")
    world = trained_world
    late, later = world.day(3), world.day(4)
    bring(world, later)
    newer = pending(world, later)
    crown(world, random_adapter(world), [later], decision=newer)
    bring(world, late, impressions(late, 2400))
    _, rows = decided(world, late)
    assert set(rows) == {*DOMAINS} - {DOMAIN}
    told = f"{late} is not decided for {DOMAIN}: the champion was trained on it or on later days"
    assert told in caplog.messages
    asked = pending(world, late, number=2)
    with Ledger(world.config) as ledger:
        assert check_champions(world.config, ledger, late, mirrored=False) == []
        project = Project(world.config, ledger, mirrored=False)
        assert adapt(project, asked) == "superseded"
        assert ledger.decision(asked).note == f"decision {newer} of the domain is newer"
        assert ledger.champion_version(KEY) == 1
