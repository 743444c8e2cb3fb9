"""MLflow's store in the workspace: made whole, whoever opens it first."""

import os
import signal
import time
from multiprocessing.context import ForkServerContext
from multiprocessing.synchronize import Event

import pytest

from driftune.config import Config
from driftune.config.loading import load_config
from driftune.config.workspace import Workspace
from driftune.registry.mlflow_mirror import client

# The store is MLflow's own database, whatever the ledger's.
pytestmark = pytest.mark.parametrize("config", ["sqlite"], indirect=True)


def _open(params: str, ready: Event) -> int:
    ready.wait()
    return len(client(load_config(params, env={})).search_registered_models())


@pytest.mark.slow
@pytest.mark.ci
def test_processes_that_open_a_store_at_once_find_it_whole(
    config: Config, forks: ForkServerContext
) -> None:
    with forks.Manager() as manager, forks.Pool(2) as pool:
        ready = manager.Event()
        opened = pool.starmap_async(_open, [(str(config.source_file), ready)] * 2)
        ready.set()
        assert opened.get(timeout=120) == [0, 0]
    assert [path.name for path in config.home.glob("*mlflow.db*")] == ["mlflow.db"]


@pytest.mark.slow
def test_a_kill_while_a_store_is_made_leaves_none(config: Config, forks: ForkServerContext) -> None:
    ready = forks.Event()
    ready.set()
    process = forks.Process(target=_open, args=(str(config.source_file), ready))
    process.start()
    patience = time.monotonic() + 60
    while not any(path.stat().st_size for path in config.home.glob("*mlflow.db*")):
        assert time.monotonic() < patience
        time.sleep(0.01)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    assert not Workspace(config).mlflow.exists()
    assert client(config).search_registered_models() == []
