"""Scheduled runs that a deployment deletes, and ones that come twice: each day is done once."""

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL

from flows.daily import daily
from tests.conftest import World
from tests.flows.conftest import DAY_AFTER, SHIFT_DAY, STABLE_DAY
from tests.flows.test_daily_flow import due_after, snapshot, taken_in

ROOT = Path(__file__).parents[2]


def deploy(folder: Path) -> None:
    """``prefect deploy --all`` in a project's folder, on the tests' server."""
    subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
        cwd=folder,
        env={**os.environ, "PREFECT_API_URL": str(PREFECT_API_URL.value())},
        check=True,
        capture_output=True,
        timeout=300,
    )


def late_runs() -> list[FlowRun]:
    """Runs of the deployment ``daily`` that were due while no worker was there."""
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name("daily/daily")
        found = [run for run in client.read_flow_runs() if run.deployment_id == deployment.id]
    now = datetime.now(UTC)
    return [run for run in found if run.expected_start_time and run.expected_start_time < now]


def let_pile_up(days: int) -> None:
    """Have the server schedule the runs of the last days, as it did while no worker was there."""
    now = datetime.now(UTC)
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name("daily/daily")
        times = {"start_time": str(now - timedelta(days=days)), "end_time": str(now)}
        client.request("POST", f"/deployments/{deployment.id}/schedule", json=times)


@pytest.mark.slow
@pytest.mark.ci
def test_days_whose_late_runs_a_deployment_deletes_are_caught_up(
    simulated: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("flows", "tasks"):
        shutil.copytree(ROOT / name, simulated.root / name)
    shutil.copy(ROOT / "prefect.yaml", simulated.root)
    with get_client(sync_client=True) as client:
        for pool in ("default", "gpu"):
            client.create_work_pool(WorkPoolCreate(name=pool, type="process"), overwrite=True)
    deploy(simulated.root)
    let_pile_up(3)
    assert len(late_runs()) == 3
    # The same once more deletes what is due in the future alone, and schedules it again …
    deploy(simulated.root)
    assert len(late_runs()) == 3
    # … and with a deployment that is deleted its late runs go: only the run after it is left.
    with get_client(sync_client=True) as client:
        client.delete_deployment(client.read_deployment_by_name("daily/daily").id)
    deploy(simulated.root)
    assert late_runs() == []
    due_after(monkeypatch, DAY_AFTER)
    assert daily(config=str(simulated.params))["failed"] == {}
    assert taken_in(simulated) == [str(STABLE_DAY), str(SHIFT_DAY), str(DAY_AFTER)]


@pytest.mark.slow
@pytest.mark.ci
def test_a_scheduled_run_that_comes_twice_does_the_day_once(
    after_stable: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    due_after(monkeypatch, SHIFT_DAY)
    first = daily(config=str(after_stable.params))
    before = snapshot(after_stable)
    second = daily(config=str(after_stable.params))
    assert (first["day"], first["changed"]) == (str(SHIFT_DAY), True)
    assert (second["day"], second["changed"]) == (str(SHIFT_DAY), False)
    assert second["domains"] == first["domains"]
    assert snapshot(after_stable) == before
