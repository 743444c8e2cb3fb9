"""Decisions that no run has taken up: which are overdue when, and which end without a run."""

import time
from typing import Any

import pytest

from driftune.config import Config
from driftune.registry.ledger import BASE, Ledger
from driftune.registry.overdue import PATIENCE, end_outdated, overdue
from driftune.registry.reconcile import reconcile
from driftune.registry.rows import Switch
from tests.registry.conftest import KEY, Decide


def ids(rows: list[Any]) -> list[str]:
    return [row.id for row in rows]


@pytest.fixture
def minutes_later(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let so many minutes pass."""
    start = time.time()
    passed = 0.0

    def wait(minutes: float) -> None:
        nonlocal passed
        passed += minutes * 60
        monkeypatch.setattr(time, "time", lambda: start + passed)

    return wait


def test_a_decision_is_overdue_when_it_has_waited_so_long(
    ledger: Ledger, decide: Decide, minutes_later: Any
) -> None:
    decision = decide()
    decide(key="other", state="stable")
    assert overdue(ledger, 5) == []
    minutes_later(5.1)
    assert ids(overdue(ledger, 5)) == [decision]
    assert ids(overdue(ledger, 0)) == [decision]
    ledger.claim(decision)
    assert overdue(ledger, 0) == []


def test_one_that_was_given_back_waits_longer(
    ledger: Ledger, decide: Decide, minutes_later: Any
) -> None:
    decision = decide()
    owner = ledger.claim(decision)
    assert owner is not None
    ledger.release(decision, owner, "MLflow was away", final=False)
    minutes_later(5 * PATIENCE - 1)
    assert overdue(ledger, 5) == []
    minutes_later(2)
    assert ids(overdue(ledger, 5)) == [decision]


def test_a_lost_claim_is_overdue_at_once(ledger: Ledger, decide: Decide) -> None:
    decision = decide()
    ledger.lease_seconds = -1
    ledger.claim(decision)
    assert ids(overdue(ledger, 60)) == [decision]


def test_outdated_decisions_end_without_a_run_and_others_wait_on(
    config: Config, ledger: Ledger, decide: Decide
) -> None:
    older, newer = decide("2026-03-10"), decide("2026-03-11")
    held = decide("2026-03-10", key="held")
    assert ledger.claim(held)
    waits = decide("2026-03-11", key="held")
    (ended,) = end_outdated(ledger)
    assert (ended.id, ended.state) == (older, "superseded")
    assert ended.note == f"decision {newer} of the domain is newer"
    assert end_outdated(ledger) == []
    # What a run holds is the run's own: its checks find that it is overtaken.
    assert ledger.decision(held).state == "claimed"
    assert set(ids(overdue(ledger, 0))) == {newer, waits}


@pytest.mark.usefixtures("mlflow_store")
def test_reconcile_ends_what_a_switch_of_the_champion_overtook(
    config: Config, ledger: Ledger, decide: Decide
) -> None:
    decision = decide()
    with ledger.write() as connection:
        ledger.switch(
            connection,
            Switch(
                key=KEY,
                domain=f"name of {KEY}",
                action="promote",
                expected=BASE,
                version=1,
                decision_id=None,
                who="the test",
                reason="by hand",
            ),
        )
    found = reconcile(config, ledger)
    (told,) = found["outdated"]
    assert told["what"].startswith(f"{decision}: superseded, the champion was switched")
    assert found["waiting"] == []
