"""Releases that are killed, refused or made at once with another one."""

from datetime import date
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from driftune.config.loading import load_config
from driftune.config.workspace import Workspace
from driftune.errors import DayRefusedError
from driftune.intake.release import release_day
from driftune.lake.table import Lake
from driftune.quality.released import Entry, keep, read_release
from driftune.quality.shown import releases
from driftune.registry.ledger import Ledger
from tests.conftest import World
from tests.forks import kill_at
from tests.marks import CI
from tests.quality.days import run


def release(params: str, day: date, reason: str) -> None:
    config = load_config(Path(params), env={})
    with Ledger(config) as ledger:
        release_day(config, ledger, day, [reason], [], "seen")


def states(world: World) -> list[str]:
    return [each["state"] for each in releases(world.config, world.day(3))]


@pytest.mark.parametrize(
    "point",
    [
        pytest.param("driftune.intake.ingest:stage", marks=CI),
        pytest.param("driftune.intake.commit:_replace_partition", marks=CI),
        "driftune.registry.ledger:Ledger.record_day",
        pytest.param("driftune.intake.ingest:finish", marks=CI),
    ],
    ids=["staging", "commit", "between lake and ledger", "after the ledger"],
)
@pytest.mark.slow
@pytest.mark.ci
def test_a_killed_release_is_pending_and_the_next_run_ends_it(
    copied: World, forks: ForkServerContext, point: str
) -> None:
    kill_at(forks, point, release, str(copied.params), copied.day(3), "duplicate")
    assert states(copied) == ["pending"]
    done = run(copied, copied.day(3))
    assert (done.revision, done.quality.accepted) == (2, 1208)
    assert states(copied) == ["in force"]
    assert not run(copied, copied.day(3)).changed


@pytest.mark.slow
@pytest.mark.ci
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


@pytest.mark.slow
@pytest.mark.ci
def test_releases_of_one_day_at_once_keep_both(copied: World, forks: ForkServerContext) -> None:
    given = (str(copied.params), copied.day(3))
    with forks.Pool(2) as pool:
        pool.starmap(release, [(*given, "duplicate"), (*given, "convert_without_click")], 1)
    assert states(copied) == ["in force", "in force"]
    done = run(copied, copied.day(3))
    assert (done.changed, done.quality.rejected, done.revision) == (False, 1, 3)
