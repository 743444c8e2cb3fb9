"""A project deployed as a user would: a server, a worker per pool, and the real prefect.yaml."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import World, made_once
from tests.deployed.served import Platform
from tests.flows.conftest import pretrained, simulated_world
from tests.notify.conftest import Inbox

ROOT = Path(__file__).parents[2]


# Before xdist reads the groups, also where this folder alone is run.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test in this folder runs real flows."""
    folder = Path(__file__).parent
    for item in items:
        if folder in item.path.parents:
            item.add_marker(pytest.mark.flow)
            # One worker: it starts one server.
            item.add_marker(pytest.mark.xdist_group("deployed"))


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A project's folder with a pre-trained world whose drift is told by events."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("flows", "tasks"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "prefect.yaml", folder)
    world = simulated_world(folder)
    world.params.write_text(
        world.params.read_text(encoding="utf-8").replace("trigger: inline", "trigger: event"),
        encoding="utf-8",
    )
    assert world.config.trigger == "event"
    made = made_once(tmp_path_factory, "simulated", pretrained)
    for name in ("logs", "workspace"):
        shutil.copytree(made / name, folder / name, dirs_exist_ok=True)
    return world


@pytest.fixture(scope="session")
def inbox() -> Iterator[Inbox]:
    """A server that takes the platform's messages."""
    opened = Inbox()
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def platform(
    project: World, inbox: Inbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """The project, deployed; its processes end with the session, whatever happens."""
    told = {"DRIFTUNE__NOTIFY__URLS_ENV": "NOTIFY_URLS", "NOTIFY_URLS": inbox.url}
    home = tmp_path_factory.mktemp("prefect")
    with Platform(home, project.root, ROOT / "src", **told) as running:
        running.deploy()
        yield running
