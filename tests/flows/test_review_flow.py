"""Review first, through the real flows: held, approved, woken up or taken by the next day."""

from typing import Any

import pytest
from typer.testing import CliRunner

from driftune.cli import app
from driftune.registry.ledger import Ledger
from flows.adapt import adapt
from flows.daily import daily
from tests.conftest import World
from tests.flows.conftest import DAY_AFTER, SHIFT_DAY
from tests.shifts import SHIFTED


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The drift events, and none of the variables that the command line would leave."""
    monkeypatch.setenv("PREFECT_HOME", "unused")
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "CRITICAL")
    monkeypatch.setenv("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
    monkeypatch.setenv("DRIFTUNE__REVIEW", "first")
    told: list[dict[str, Any]] = []
    monkeypatch.setattr("tasks.drift.emit_event", lambda **event: told.append(event))
    return told


def held_of(world: World) -> Any:
    with Ledger(world.config) as ledger:
        (row,) = [row for row in ledger.decisions() if row.state == "review"]
    assert row.domain == SHIFTED
    return row


def approve(world: World, decision: str) -> str:
    done = CliRunner().invoke(app, ["approve", decision, "--config", str(world.params)])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.slow
@pytest.mark.ci
def test_approval_emits_the_event_that_nothing_emitted_before(
    simulated: World, monkeypatch: pytest.MonkeyPatch, events: list[dict[str, Any]]
) -> None:
    monkeypatch.setenv("DRIFTUNE__TRIGGER", "event")
    daily(SHIFT_DAY, str(simulated.params))
    held = held_of(simulated)
    assert events == []
    assert adapt(held.id, str(simulated.params)) == "review"
    assert adapt(domain=held.domain_key, config=str(simulated.params)) == "nothing waits"
    assert "the event wakes up the adapt deployment" in approve(simulated, held.id)
    assert [event["payload"]["decision_id"] for event in events] == [held.id]
    last = adapt(domain=held.domain_key, config=str(simulated.params))
    assert last in ("promoted", "rejected")


@pytest.mark.slow
@pytest.mark.ci
def test_an_event_that_cannot_be_emitted_leaves_the_approval(
    simulated: World, monkeypatch: pytest.MonkeyPatch, events: list[dict[str, Any]]
) -> None:
    daily(SHIFT_DAY, str(simulated.params))
    held = held_of(simulated)
    monkeypatch.setenv("DRIFTUNE__TRIGGER", "event")

    def away(**_: Any) -> None:
        raise ConnectionError("server away")

    monkeypatch.setattr("tasks.drift.emit_event", away)
    monkeypatch.setattr("tasks.drift.alert.retries", 0)
    said = approve(simulated, held.id)
    assert "no event (ConnectionError: server away); the next daily run adapts" in said
    with Ledger(simulated.config) as ledger:
        assert ledger.decision(held.id).state == "pending"


@pytest.mark.slow
@pytest.mark.ci
def test_inline_the_next_day_adapts_what_was_approved(
    simulated: World, events: list[dict[str, Any]]
) -> None:
    daily(SHIFT_DAY, str(simulated.params))
    held = held_of(simulated)
    assert "the next daily run adapts" in approve(simulated, held.id)
    daily(DAY_AFTER, str(simulated.params))
    with Ledger(simulated.config) as ledger:
        assert ledger.decision(held.id).state in ("promoted", "rejected")
    assert events == []
