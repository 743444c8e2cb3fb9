"""A worker that dies with the run that it has started: the next run makes good what it left."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from driftune.config.workspace import Workspace
from driftune.deployment.local import deployed
from driftune.registry.ledger import Ledger
from tests.faults.cases import Undisturbed, restored, sound
from tests.faults.conftest import DAYS, Children, Start, output
from tests.faults.table import QUIET
from tests.forks import PATIENCE

PROJECT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_worker_that_is_killed_with_its_run(
    start: Start, children: Children, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    world, day = start(QUIET, tmp_path), DAYS[QUIET.day]
    with deployed(PROJECT, tmp_path / "server", 0) as local:
        asked = [f"day={day}", f"config={world.params}"]
        subprocess.run(
            [sys.executable, "-m", "prefect", "deployment", "run", "daily/daily"]
            + [part for each in asked for part in ("--param", each)],
            env={**os.environ, "PREFECT_API_URL": local.api, "NO_PROXY": "127.0.0.1"},
            check=True,
            capture_output=True,
        )
        end = time.monotonic() + PATIENCE
        with Ledger(world.config) as ledger:
            while ledger.day(day) is None:
                assert time.monotonic() < end
                time.sleep(0.05)
        for worker in local.processes[1:]:
            root = psutil.Process(worker.identity[0])
            for each in [root, *root.children(recursive=True)]:
                each.kill()
    assert not (Workspace(world.config).reports / f"day/{day}.html").exists()
    sound(world)
    assert children.run(world, QUIET, QUIET.work) == 0, output(world)
    restored(world, undisturbed(QUIET))
