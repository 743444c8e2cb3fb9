"""The adapt flow: woken up twice, what is tried again, its report, and the event trigger.

What an adaptation does is tested without Prefect (tests/adaptation/test_adapt.py).
"""

import os
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import TaskRunFilter

from driftune.adaptation.finetune import finetune_together
from driftune.errors import ConfigError, LakeError
from driftune.registry.ledger import Ledger
from flows.adapt import adapt
from flows.daily import daily
from tests.conftest import World
from tests.flows.conftest import DAY_AFTER, SHIFT_DAY


def row_of(world: World, decision_id: str) -> Any:
    with Ledger(world.config) as ledger:
        return ledger.decision(decision_id)


@pytest.mark.slow
@pytest.mark.ci
def test_two_wake_ups_adapt_once_and_the_report_says_what_came_of_it(
    waiting: tuple[World, str],
) -> None:
    world, decision = waiting
    key = row_of(world, decision).domain_key
    page = world.config.home / "reports" / "decision" / f"{SHIFT_DAY}" / f"{key}.html"
    assert "waits for an adaptation" in page.read_text()
    first = adapt(decision, str(world.params))
    assert "waits for an adaptation" not in page.read_text()
    row = row_of(world, decision)
    assert first in ("promoted", "rejected")
    assert adapt(decision, str(world.params)) == first
    assert row_of(world, decision) == row
    assert row.attempts == 1


@pytest.mark.slow
@pytest.mark.ci
def test_a_domain_s_wake_up_takes_all_that_waits(waiting: tuple[World, str]) -> None:
    world, first = waiting
    daily(DAY_AFTER, str(world.params))
    with Ledger(world.config) as ledger:
        open_ones = [row.id for row in ledger.decisions() if row.state == "pending"]
    assert len(open_ones) == 2
    assert first in open_ones
    key = row_of(world, first).domain_key
    last = adapt(domain=key, config=str(world.params))
    assert last == row_of(world, open_ones[-1]).state
    assert "pending" not in {row_of(world, one).state for one in open_ones}
    assert adapt(domain=key, config=str(world.params)) == "nothing waits"


@pytest.mark.slow
@pytest.mark.ci
def test_a_domain_s_wake_up_leaves_other_domains_alone(waiting: tuple[World, str]) -> None:
    world, decision = waiting
    assert adapt(domain="search-south-0", config=str(world.params)) == "nothing waits"
    assert row_of(world, decision).state == "pending"


@pytest.mark.parametrize("given", [{}, {"decision_id": "a", "domain": "b"}])
def test_adapt_needs_a_decision_or_a_domain(simulated: World, given: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="adapt: give either decision_id or domain"):
        adapt(config=str(simulated.params), **given)


@pytest.mark.slow
@pytest.mark.ci
def test_a_fault_of_the_report_neither_fails_an_adaptation_nor_hides_its_error(
    waiting: tuple[World, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world, decision = waiting

    def broken(*_: Any, **__: Any) -> Any:
        raise LakeError("a page cannot be written")

    def crash(*_: Any) -> Any:
        raise ValueError("the real error")

    monkeypatch.setattr("tasks.reporting.build_site", broken)
    with monkeypatch.context() as failing:
        failing.setattr("driftune.adaptation.steps.finetune_together", crash)
        with pytest.raises(ValueError, match="the real error"):
            adapt(decision, str(world.params))
    assert adapt(decision, str(world.params)) in ("promoted", "rejected")
    assert "not up to date: a page cannot be written; then run driftune report" in caplog.text


@pytest.mark.slow
@pytest.mark.ci
def test_the_alert_names_domain_day_and_decision(waiting: tuple[World, str]) -> None:
    _, decision = waiting
    named = TaskRunFilter(name={"any_": [f"alert {decision}"]})
    with get_client(sync_client=True) as client:
        runs = client.read_task_runs(task_run_filter=named)
    assert any(run.state.is_completed() for run in runs)


@pytest.mark.slow
@pytest.mark.ci
def test_a_fault_that_passes_is_tried_again(
    waiting: tuple[World, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, decision = waiting
    calls = []

    def flaky(*arguments: Any) -> Any:
        calls.append(os.getpid())
        if len(calls) == 1:
            raise OSError("the disk was away")
        return finetune_together(*arguments)

    monkeypatch.setattr("driftune.adaptation.steps.finetune_together", flaky)
    assert adapt(decision, str(world.params)) in ("promoted", "rejected")
    assert len(calls) == 2
    # The step was tried again, not the decision.
    assert row_of(world, decision).attempts == 1
