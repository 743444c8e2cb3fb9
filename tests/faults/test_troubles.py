"""The world around a run fails: clocks, locks, a registry, a disk, a server, runs at once."""

import os
import shutil
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from driftune.config.workspace import Workspace
from tests.conftest import World
from tests.faults.cases import Undisturbed, parameters, restored, sound
from tests.faults.child import GO, REACHED
from tests.faults.conftest import Children, Start, output
from tests.faults.table import TROUBLES, Fault, Trouble
from tests.forks import PATIENCE, ended

NOBODY = "http://127.0.0.1:9"
# Bytes left.
ROOM = 4096


@pytest.mark.parametrize("case", parameters(TROUBLES))
def test_trouble_that_passes(
    case: Trouble, start: Start, children: Children, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    world = start(case.scene, tmp_path)
    code = PLAYS[case.kind](case, world, children)
    assert case.ends is None or code == case.ends, output(world)
    sound(world)
    if case.again:
        assert children.run(world, case.scene, case.scene.work) == 0, output(world)
    if case.mend:
        assert children.run(world, case.scene, "reconcile") == 0, output(world)
    restored(world, undisturbed(case.scene))


def _clock(case: Trouble, world: World, children: Children) -> int:
    fault = Fault("clock", seconds=case.seconds)
    return children.run(world, case.scene, case.scene.work, fault)


def _locked(case: Trouble, world: World, children: Children) -> int:
    path = Workspace(world.config).home / "ledger.db"
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    with closing(connection):
        connection.execute("BEGIN IMMEDIATE")
        release = threading.Timer(case.seconds, connection.rollback)
        release.start()
        code = children.run(world, case.scene, case.scene.work)
        release.cancel()
        release.join()
    return code


def _away(case: Trouble, world: World, children: Children) -> int:
    env = {"DRIFTUNE__REGISTRY__MLFLOW": NOBODY, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    return children.run(world, case.scene, case.scene.work, None, **env)


def _full(case: Trouble, world: World, children: Children) -> int:
    with _no_room(Workspace(world.config).home / case.place):
        return children.run(world, case.scene, case.scene.work)


@contextmanager
def _no_room(folder: Path) -> Iterator[None]:
    """A file system of its own for the folder and what is in it, all but full."""
    folder.mkdir(exist_ok=True)
    copy = folder.with_name(f"{folder.name}.before")
    shutil.copytree(folder, copy)
    files = [path.stat().st_size for path in copy.rglob("*") if path.is_file()]
    held = sum(-(-size // 4096) * 4096 for size in files)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={held + ROOM}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small tmpfs can only be mounted by root")
    try:
        shutil.copytree(copy, folder, dirs_exist_ok=True)
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)
        shutil.rmtree(copy)


def _beside(case: Trouble, world: World, children: Children) -> int:
    both = [children.start(world, case.scene, work) for work in (case.scene.work, case.place)]
    return max(ended(each) for each in both)


def _server(case: Trouble, world: World, children: Children) -> int:
    fault = Fault("hold", case.place, "after")
    child = children.start(world, case.scene, case.scene.work, fault)
    end = time.monotonic() + PATIENCE
    while not (world.root / REACHED).exists() and child.is_alive():
        assert time.monotonic() < end, output(world)
        time.sleep(0.05)
    children.server.kill()
    children.server.start()
    (world.root / GO).touch()
    return ended(child)


PLAYS: dict[str, Callable[[Trouble, World, Children], int]] = {
    "clock": _clock,
    "locked": _locked,
    "away": _away,
    "full": _full,
    "beside": _beside,
    "server": _server,
}
