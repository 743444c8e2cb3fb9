"""Releases that are killed, refused or made at once with another one."""

import signal
import subprocess
import sys

import pytest

from driftune.config.workspace import Workspace
from driftune.errors import DayRefusedError
from driftune.lake.table import Lake
from driftune.quality.released import Entry, keep, read_release
from driftune.quality.shown import releases
from tests.conftest import World
from tests.quality.days import run

RELEASE = """
import importlib, os, signal, sys
from datetime import date
from pathlib import Path
from driftune.config.loading import load_config
from driftune.intake.release import release_day
from driftune.registry.ledger import Ledger

if len(sys.argv) > 4:
    module, name = sys.argv[4].split(":")
    owner = importlib.import_module(module)
    for part in name.split(".")[:-1]:
        owner = getattr(owner, part)
    setattr(owner, name.split(".")[-1], lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
config = load_config(Path(sys.argv[1]))
with Ledger(config) as ledger:
    release_day(config, ledger, date.fromisoformat(sys.argv[2]), [sys.argv[3]], [], "seen")
"""


def started(world: World, reason: str, *point: str) -> "subprocess.Popen[bytes]":
    day = str(world.day(3))
    command = [sys.executable, "-c", RELEASE, str(world.params), day, reason, *point]
    return subprocess.Popen(command, stderr=subprocess.PIPE)


def states(world: World) -> list[str]:
    return [each["state"] for each in releases(world.config, world.day(3))]


@pytest.mark.parametrize(
    "point",
    [
        "driftune.intake.ingest:stage",
        "driftune.intake.commit:_replace_partition",
        "driftune.registry.ledger:Ledger.record_day",
        "driftune.intake.ingest:finish",
    ],
    ids=["staging", "commit", "between lake and ledger", "after the ledger"],
)
def test_a_killed_release_is_pending_and_the_next_run_ends_it(copied: World, point: str) -> None:
    killed = started(copied, "duplicate", point)
    _, told = killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL, told.decode()
    assert states(copied) == ["pending"]
    done = run(copied, copied.day(3))
    assert (done.revision, done.quality.accepted) == (2, 1208)
    assert states(copied) == ["in force"]
    assert not run(copied, copied.day(3)).changed


def test_a_pending_release_is_withdrawn_where_the_day_is_refused_under_it(copied: World) -> None:
    day, workspace = copied.day(3), Workspace(copied.config)
    before = Lake.of(copied.config).contents
    delivery = run(copied, day).quality.delivery
    earlier = Entry(at="2026-03-06", by="ann", why="seen", reasons=[], domains=[], content="other")
    broken_off = Entry(
        at="2026-03-07", by="bob", why="?", reasons=["duplicate"], domains=[],
        content=delivery, done=False,
    )  # fmt: skip
    keep(workspace, day, [earlier, broken_off])
    strict = World(copied.root, quality={"min_rows": 5000})
    with pytest.raises(DayRefusedError, match=r"the release \(duplicate\) is withdrawn"):
        run(strict, day)
    assert read_release(workspace, day).entries == (earlier,)
    assert Lake.of(copied.config).contents == before
    assert not run(World(copied.root), day).changed


def test_releases_of_one_day_at_once_keep_both(copied: World) -> None:
    both = [started(copied, reason) for reason in ("duplicate", "convert_without_click")]
    for each in both:
        _, told = each.communicate(timeout=240)
        assert each.returncode == 0, told.decode()
    assert states(copied) == ["in force", "in force"]
    done = run(copied, copied.day(3))
    assert (done.changed, done.quality.rejected, done.revision) == (False, 1, 3)
