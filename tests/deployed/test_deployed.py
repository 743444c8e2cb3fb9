"""The contract on the real thing: drift starts one adaptation per decision, whatever is lost."""

import pytest
import sqlalchemy as sa

from driftune.domains import domain_key
from driftune.registry.ledger import Ledger
from driftune.registry.mlflow_mirror import client, model_name
from driftune.registry.schema import decisions
from tests.conftest import World
from tests.deployed.served import Platform
from tests.flows.conftest import DAY_AFTER, SHIFT_DAY, SIMULATION
from tests.notify.conftest import Inbox
from tests.shifts import SHIFTED

ENDED = ("promoted", "rejected", "undecided", "waiting")
ALERT = """
import sys
from driftune.config.loading import load_config
from tasks.drift import alert
for decision in sys.argv[1:]:
    alert.fn(load_config("params.yaml"), decision)
"""


def decision_of(project: World, domain: str) -> sa.Row:
    with Ledger(project.config) as ledger:
        (row,) = ledger.decisions(
            decisions.c.day == str(SHIFT_DAY), decisions.c.domain_key == domain_key(domain)
        )
    return row


def wait_for_end(platform: Platform, project: World, domain: str) -> sa.Row:
    def ended() -> sa.Row | None:
        row = decision_of(project, domain)
        return row if row.state in ENDED else None

    return platform.until(ended, f"adaptation of {domain}")


def adapted_once(platform: Platform, project: World, domain: str) -> None:
    """One attempt in the ledger, one fine-tune on the platform, one MLflow version if promoted."""
    row = wait_for_end(platform, project, domain)
    platform.until(
        lambda: all(run.state and run.state.is_final() for run in platform.runs("adapt")),
        "the end of the runs of adapt",
    )
    assert row == decision_of(project, domain)
    assert row.attempts == (0 if row.state == "waiting" else 1)
    assert len(platform.task_runs(f"fine-tune {row.id}")) == 1
    found = client(project.config).search_model_versions(f"name = '{model_name(row.domain_key)}'")
    assert len(found) == (1 if row.state == "promoted" else 0)


@pytest.fixture(scope="module")
def drifted(platform: Platform, project: World) -> Platform:
    """The platform after the daily deployment has run on a day that shifts one domain."""
    platform.run("daily", day=str(SHIFT_DAY))
    return platform


def drift(project: World, domain: str) -> str:
    """Make the day's decision of a stable domain one that waits, unheard of by any event."""
    row = decision_of(project, domain)
    assert row.state == "stable"
    with Ledger(project.config) as ledger, ledger.write() as connection:
        connection.execute(
            decisions.update().where(decisions.c.id == row.id).values(state="pending")
        )
    return row.id


OTHERS = [name for name in SIMULATION.domains if name != SHIFTED]


@pytest.mark.slow
@pytest.mark.ci
def test_drift_on_a_day_starts_adapt_and_the_champion_changes(
    drifted: Platform, project: World
) -> None:
    row = wait_for_end(drifted, project, SHIFTED)
    assert row.state == "promoted", row.gate
    with Ledger(project.config) as ledger:
        assert [(c.domain, c.version) for c in ledger.champions().values()] == [(SHIFTED, 1)]
    adapted_once(drifted, project, SHIFTED)
    (run,) = drifted.runs("adapt")
    assert run.work_pool_name == "gpu"
    assert run.parameters["config"] == str(project.params)
    assert run.created_by and run.created_by.type == "AUTOMATION"


@pytest.mark.slow
@pytest.mark.ci
def test_events_in_one_window_and_runs_started_twice_adapt_once(
    drifted: Platform, project: World
) -> None:
    noisy, raced = OTHERS[:2]
    twice = drift(project, noisy)
    drift(project, raced)
    drifted.call("-c", ALERT, twice, twice)
    for _ in range(2):
        drifted.start("adapt", domain=domain_key(raced))
    adapted_once(drifted, project, noisy)
    adapted_once(drifted, project, raced)


@pytest.mark.slow
@pytest.mark.ci
def test_what_no_event_told_is_adapted_once_by_reconcile(drifted: Platform, project: World) -> None:
    lost = OTHERS[2]
    drift(project, lost)
    for _ in range(2):
        drifted.run("reconcile", wait_minutes=0)
    adapted_once(drifted, project, lost)


@pytest.mark.slow
@pytest.mark.ci
def test_a_run_that_is_killed_is_told(drifted: Platform, project: World, inbox: Inbox) -> None:
    drifted.start("daily", day=str(DAY_AFTER))
    drifted.until(lambda: drifted.task_runs(f"fetch {DAY_AFTER}"), "the run to begin")
    drifted.kill_runs("default")
    drifted.until(
        lambda: any("failed: daily" in message["title"] for message in inbox.messages),
        "a message",
        60,
    )
    (message,) = [each for each in inbox.messages if "failed: daily" in each["title"]]
    assert str(DAY_AFTER) in message["title"]
    assert "-9" in message["message"]
