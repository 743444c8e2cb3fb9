"""A real Prefect server, worlds to start from, and processes forked from one that has imported."""

import os
import socket
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from driftune.deployment.processes import Process, prefect, wait_until
from driftune.models.adapters import Adapter, IAKConfig, IAKKernel
from driftune.training.pretrain import load_model
from tests.conftest import World, made_once
from tests.crowning import crown
from tests.faults.child import live
from tests.faults.states import state_of
from tests.faults.table import Fault, Scene
from tests.flows.conftest import (
    DAY_AFTER,
    SHIFT_DAY,
    STABLE_DAY,
    copy_world,
    pretrained,
)
from tests.forks import PATIENCE, ended

DAYS = {"stable": STABLE_DAY, "shift": SHIFT_DAY, "after": DAY_AFTER}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test in this folder runs real flows."""
    folder = Path(__file__).parent
    for item in items:
        if folder in item.path.parents:
            item.add_marker(pytest.mark.flow)


class Server:
    """A Prefect server that can be killed and started again, with the same database."""

    def __init__(self, home: Path) -> None:
        self.home = home
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/api"
        self.process: Process | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        env = {**os.environ, "PREFECT_HOME": str(self.home), "NO_PROXY": "127.0.0.1"}
        arguments = ("server", "start", "--host", "127.0.0.1", "--port", str(self.port))
        self.process = Process("server", prefect(arguments), self.home / "server.log", env)
        wait_until(self._answers, [self.process], PATIENCE, "the server")

    def kill(self) -> None:
        """Kill it at once, with all that it has started."""
        if self.process is not None:
            root = psutil.Process(self.process.identity[0])
            for each in [root, *root.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess):
                    each.kill()
            self.process.stop()

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.stop()

    def _answers(self) -> bool:
        with suppress(OSError), urllib.request.urlopen(f"{self.url}/health", timeout=2) as answer:
            return bool(answer.status == 200)
        return False


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One Prefect server for the children of all cases."""
    server = Server(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.stop()


@dataclass(frozen=True)
class Children:
    """Processes that do a scene's work in a world, forked from one that has imported everything."""

    server: Server
    forks: ForkServerContext

    def start(
        self, world: World, scene: Scene, work: str, fault: Fault | None = None, **env: str
    ) -> BaseProcess:
        """Start one."""
        given = {"PREFECT_API_URL": self.server.url, "DRIFTUNE__TRIGGER": scene.trigger, **env}
        arguments = (str(world.params), work, str(DAYS[scene.day]), fault, given)
        process = self.forks.Process(target=live, args=arguments)
        process.start()
        return process

    def run(
        self, world: World, scene: Scene, work: str, fault: Fault | None = None, **env: str
    ) -> int:
        """Start one and wait for it; returns its exit code, negative for a signal."""
        return ended(self.start(world, scene, work, fault, **env))


@pytest.fixture(scope="session")
def children(server: Server, forks: ForkServerContext) -> Children:
    """Where the children come from."""
    return Children(server, forks)


Start = Callable[[Scene, Path], World]


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory, children: Children) -> Start:
    """A factory of worlds as scenes begin: copies of ones made once."""

    @cache
    def made(name: str) -> Path:
        folder = tmp_path_factory.mktemp(name) / "world"
        if name == "pretrained":
            copy_world(made_once(tmp_path_factory, "simulated", pretrained), folder)
            return folder
        world = copy_world(made("pretrained"), folder)
        if name == "crowned":
            _, model, _ = load_model(world.config)
            torch.manual_seed(0)
            kernel = IAKKernel(model.representation.width, IAKConfig(4, 8, "replace"))
            crown(world, Adapter({"representation": kernel}).eval(), [world.config.reference.last])
        else:
            trigger = {"waiting": "event", "served": "inline"}[name]
            scene = Scene("pretrained", "daily", "shift", trigger)
            assert children.run(world, scene, "daily") == 0, output(world)
        return folder

    return lambda scene, folder: copy_world(made(scene.world), folder / "world")


def output(world: World) -> str:
    """The end of what the children of a world said."""
    return (world.root / "output.txt").read_text(encoding="utf-8", errors="replace")[-4000:]


@pytest.fixture(scope="session")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, start: Start, children: Children
) -> Callable[[Scene], dict[str, Any]]:
    """The state after a scene's work without a fault, by scene; made once each."""

    @cache
    def state(scene: Scene) -> dict[str, Any]:
        world = start(scene, tmp_path_factory.mktemp("undisturbed"))
        assert children.run(world, scene, scene.work) == 0, output(world)
        return state_of(world)

    return state
