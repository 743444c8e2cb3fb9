"""Reconcile and guard: what no run took up is adapted, what no run checked is checked."""

from typing import Any

import pytest
from prefect import flow, get_client

from driftune.errors import RegistryError
from driftune.intake.ingest import ingest
from driftune.registry import reconcile as library
from driftune.registry.checks import unannounced
from driftune.registry.ledger import BASE, Ledger
from driftune.reports.links import decision_path
from flows.guard import guard
from flows.reconcile import reconcile
from tests.conftest import World, impressions
from tests.crowning import DOMAIN, KEY, crown, pending
from tests.guard.conftest import WORSE, adapter


@pytest.fixture
def waiting(trained_world: World) -> tuple[World, str]:
    """A world in which a decision waits that no event told of."""
    day = trained_world.day(3)
    trained_world.write(day, impressions(day, 2400))
    with Ledger(trained_world.config) as ledger:
        ingest(trained_world.config, ledger, day)
    return trained_world, pending(trained_world, day)


def state_of(world: World, decision: str) -> tuple[str, int]:
    with Ledger(world.config) as ledger:
        row = ledger.decision(decision)
    return row.state, row.attempts


@pytest.mark.slow
@pytest.mark.ci
def test_a_decision_is_left_to_its_event_at_first_and_then_adapted_once(
    waiting: tuple[World, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, decision = waiting
    # No deployment is there that could be started.
    monkeypatch.setenv("DRIFTUNE__TRIGGER", "event")
    assert reconcile(str(world.params)) == {"outdated": [], "woken": []}
    assert state_of(world, decision) == ("pending", 0)
    assert reconcile(str(world.params), 0) == {"outdated": [], "woken": [KEY]}
    state, _ = state_of(world, decision)
    assert state in ("promoted", "rejected", "undecided", "waiting")
    assert reconcile(str(world.params), 0) == {"outdated": [], "woken": []}


@pytest.mark.slow
@pytest.mark.ci
def test_a_deployment_is_started_for_it_and_no_second_one_while_that_waits(
    waiting: tuple[World, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, decision = waiting
    monkeypatch.setenv("DRIFTUNE__TRIGGER", "event")

    @flow(name="adapt")
    def stand_in(domain: str, config: str) -> None:
        """Has the name of the deployed flow; no worker runs it."""

    with get_client(sync_client=True) as client:
        deployment = client.create_deployment(client.create_flow(stand_in), name="adapt")
        try:
            for _ in range(2):
                assert reconcile(str(world.params), 0)["woken"] == [KEY]
            runs = [run for run in client.read_flow_runs() if run.deployment_id == deployment]
        finally:
            client.delete_deployment(deployment)
    assert [run.parameters for run in runs] == [{"domain": KEY, "config": str(world.params)}]
    assert state_of(world, decision) == ("pending", 0)


@pytest.mark.slow
@pytest.mark.ci
def test_an_outdated_decision_ends_and_its_page_says_so(waiting: tuple[World, str]) -> None:
    world, decision = waiting
    crown(world, adapter(world, WORSE), [world.day(2)])
    assert reconcile(str(world.params)) == {"outdated": [decision], "woken": []}
    assert state_of(world, decision) == ("superseded", 0)
    with Ledger(world.config) as ledger:
        page = world.config.home / "reports" / decision_path(ledger.decision(decision))
    assert "the champion was switched to version" in page.read_text()


@pytest.mark.slow
@pytest.mark.ci
def test_what_cannot_be_mended_fails_the_run_after_all_else_is_done(
    waiting: tuple[World, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, decision = waiting
    broken = [{"what": "alias of home-north cannot be corrected", "ok": False}]
    monkeypatch.setattr(library, "aliases", lambda *_, **__: broken)
    with pytest.raises(RegistryError, match="alias of home-north cannot be corrected"):
        reconcile(str(world.params), 0)
    assert state_of(world, decision)[0] != "pending"


@pytest.mark.slow
@pytest.mark.ci
def test_a_champion_is_checked_on_a_day_that_no_daily_run_checked(
    trained_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    crown(trained_world, adapter(trained_world, WORSE), [trained_world.day(2)])
    day = trained_world.day(3)
    trained_world.write(day, impressions(day, 12_000))
    with Ledger(trained_world.config) as ledger:
        ingest(trained_world.config, ledger, day)
    told: list[dict[str, Any]] = []
    monkeypatch.setattr("tasks.guard.emit_event", lambda **event: told.append(event))
    (line,) = guard(str(trained_world.params))
    assert line.startswith(f"{DOMAIN}, {day}: worse (")
    with Ledger(trained_world.config) as ledger:
        assert ledger.champion_version(KEY) == BASE
        assert unannounced(ledger) == []
    assert [event["event"] for event in told] == ["driftune.champion.rolled_back"]
    assert guard(str(trained_world.params)) == []
    assert len(told) == 1
