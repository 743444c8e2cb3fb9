"""Pruning: what is past its time goes, what anything needs stays, and each says why."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest

from driftune.checksums import beside, is_whole
from driftune.config.loading import load_config
from driftune.config.workspace import Workspace
from driftune.errors import LakeError
from driftune.features.days import encode_day
from driftune.intake.ingest import ingest
from driftune.lake.table import Lake
from driftune.lake.versions import day_versions, export_day
from driftune.registry.ledger import Ledger
from driftune.registry.records import Scores
from driftune.retention import prune as module
from driftune.retention.found import Aged
from driftune.retention.prune import plan, prune
from driftune.training.pretrain import load_model
from tests.conftest import World, impressions, made_once
from tests.crowning import pending
from tests.forks import ended
from tests.lake.lakes import checksum
from tests.marks import CI

DAYS = 24 * 3600.0


@pytest.fixture(scope="session")
def _redelivered(_ingested: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "three-deliveries", redeliver, _ingested)


@pytest.fixture
def twice(_redelivered: Path, tmp_path: Path) -> World:
    """A world with a day that was delivered three times."""
    return World.copied(_redelivered, tmp_path / "redelivered")


def redeliver(folder: Path) -> None:
    """Bring in a day three times."""
    world = World(folder)
    day = world.day(3)
    with Ledger(world.config) as ledger:
        for rows in (1100, 1150, 1200):
            world.write(day, impressions(day, rows))
            ingest(world.config, ledger, day)


def pruned(world: World, after_days: float = 0) -> list[Aged]:
    with Ledger(world.config) as ledger:
        return [each for each, _ in prune(world.config, ledger, time.time() + after_days * DAYS)[0]]


def reasons(world: World, kind: str) -> list[str]:
    with Ledger(world.config) as ledger:
        return [each.why for each in plan(world.config, ledger)[1] if each.kind == kind]


@pytest.mark.slow
@pytest.mark.ci
def test_old_versions_go_after_their_days_and_say_so(twice: World) -> None:
    day = twice.day(3)
    before = checksum(twice.config)
    assert pruned(twice, 89) == []
    assert "90 days" in reasons(twice, "versions")[0]
    with Ledger(twice.config) as ledger:
        told, _ = plan(twice.config, ledger, time.time() + 91 * DAYS)
    assert [each.kind for each in told] == ["versions", "versions"]
    assert all(each.bytes > 0 and day.isoformat() in each.what for each in told)
    assert [row["readable"] for row in day_versions(twice.config, day)] == [True, True, True]
    assert pruned(twice, 91) == told
    assert [row["readable"] for row in day_versions(twice.config, day)] == [False, False, True]
    with pytest.raises(LakeError, match="is gone"):
        export_day(
            twice.config,
            day,
            day_versions(twice.config, day)[0]["version"],
            twice.root / "x.parquet",
        )
    assert checksum(twice.config) == before
    assert pruned(twice, 91) == []
    with Ledger(twice.config) as ledger:
        assert not ingest(twice.config, ledger, day).changed


@pytest.mark.slow
@pytest.mark.ci
def test_files_of_no_version_are_left_for_a_day(twice: World) -> None:
    folder = Workspace(twice.config).lake / f"day={twice.day(3)}"
    (source,) = Lake.of(twice.config).paths(twice.day(3))
    for name, age in (("killed", 25 * 3600), ("at-work", 3600)):
        (folder / f"{name}.parquet").write_bytes(source.read_bytes())
        moment = time.time() - age
        os.utime(folder / f"{name}.parquet", (moment, moment))
    assert [each.kind for each in pruned(twice)] == ["leftovers"]
    assert not (folder / "killed.parquet").exists()
    assert (folder / "at-work.parquet").exists()


def long_lived(make_world: Callable[..., World]) -> World:
    """Reference days, days of three weeks, and one a hundred days later."""
    world = make_world(
        retention={"lake": 90},
        features={"counters": {"history_days": 2, "per": [["item"]]}},
    ).with_reference()
    with Ledger(world.config) as ledger:
        for number in (0, 1, 2, 8, 9, 120):
            world.write(world.day(number))
            ingest(world.config, ledger, world.day(number))
    return world


def test_days_of_the_lake_go_but_never_those_that_anything_needs(
    make_world: Callable[..., World],
) -> None:
    world = long_lived(make_world)
    assert [each.day for each in pruned(world)] == [str(world.day(8)), str(world.day(9))]
    assert Lake.of(world.config).days == [world.day(n) for n in (0, 1, 2, 120)]
    assert "reference days: pre-training rests on them" in reasons(world, "lake")
    # The files go when the version that held them is past its time.
    assert len(pruned(world, 91)) == 2
    assert not list((Workspace(world.config).lake / f"day={world.day(8)}").glob("*.parquet"))
    with Ledger(world.config) as ledger:
        later = world.day(121)
        world.write(later)
        ingest(world.config, ledger, later)


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("state", ["pending", "review"])
def test_open_decisions_keep_every_day(make_world: Callable[..., World], state: str) -> None:
    world = long_lived(make_world)
    with Ledger(world.config) as ledger:
        ledger.decide(
            id="one", domain="home", domain_key="home", day=str(world.day(120)), revision=1,
            backbone="b", state=state, score=1.0, scores=Scores(), sentence="", data_version="v",
            champion_version=0,
        )  # fmt: skip
    assert pruned(world) == []
    assert "1 decisions are open" in reasons(world, "lake")[0]


@pytest.mark.slow
@pytest.mark.ci
def test_days_that_a_serving_version_is_compared_with_stay(
    make_world: Callable[..., World],
) -> None:
    world = long_lived(make_world)
    with Ledger(world.config) as ledger:
        ledger.decide(
            id="one", domain="home", domain_key="home", day=str(world.day(120)), revision=1,
            backbone="b", state="stable", score=1.0, scores=Scores(reference=(world.day(9),)),
            sentence="", data_version="v", champion_version=0,
        )  # fmt: skip
    assert pruned(world) == []
    assert len(reasons(world, "lake")) == 3


@pytest.mark.slow
@pytest.mark.ci
def test_challengers_go_when_their_decision_ended_long_ago(trained_world: World) -> None:
    world = trained_world
    world.write(world.day(3))
    with Ledger(world.config) as ledger:
        ingest(world.config, ledger, world.day(3))
        names = [pending(world, world.day(3)), pending(world, world.day(3), 2)]
        for name in names:
            Workspace(world.config).challenger(name).mkdir(parents=True)
            (Workspace(world.config).challenger(name) / "adapter.json").write_text("{}")
        owner = ledger.claim(names[1])
        if owner is not None:
            ledger.release(names[1], owner, "no data", final=True)
        ended = ledger.decision(names[1]).state
    assert ended in ("failed", "superseded")
    assert pruned(world, 89) == []
    assert [each.what for each in pruned(world, 91)] == [f"{names[1]}: {ended}"]
    assert Workspace(world.config).challenger(names[0]).exists()


@pytest.mark.slow
@pytest.mark.ci
def test_encoded_days_of_contents_that_are_gone_go(trained_world: World) -> None:
    world, day = trained_world, trained_world.day(3)
    encoder, _, _ = load_model(world.config)
    files = []
    with Ledger(world.config) as ledger:
        for rows in (1100, 1200):
            world.write(day, impressions(day, rows))
            ingest(world.config, ledger, day)
            files.append(encode_day(world.config, encoder, day))
    assert pruned(world, 29) == []
    assert [each.paths for each in pruned(world, 31) if each.kind == "caches"] == [
        (files[0], beside(files[0]))
    ]
    assert not beside(files[0]).exists()
    assert is_whole(files[1])


@pytest.mark.slow
@pytest.mark.ci
def test_quarantine_and_data_docs_go_by_the_clock_of_the_data(
    make_world: Callable[..., World],
) -> None:
    world = make_world(retention={"quarantine": 1, "records": 1}).with_reference()
    with Ledger(world.config) as ledger:
        for number in range(3):
            frame = impressions(world.day(number))
            frame.loc[frame.index[:4], "click"] = 5
            world.write(world.day(number), frame)
            ingest(world.config, ledger, world.day(number))
    workspace, first = Workspace(world.config), world.day(0)
    assert [(each.kind, each.day) for each in pruned(world)] == [
        ("quarantine", str(first)),
        ("records", str(first)),
    ]
    assert not workspace.quarantine(first).exists()
    assert not workspace.docs_record(first).exists()
    assert workspace.quality(first).exists()
    assert workspace.docs_record(first + timedelta(days=1)).exists()
    with Ledger(world.config) as ledger:
        assert not ingest(world.config, ledger, first).changed


def test_staging_that_a_killed_run_left_goes_and_what_works_stays(ingested_world: World) -> None:
    staging = Workspace(ingested_world.config).staging
    name_itself = "from driftune.owners import new_owner; print(new_owner())"
    ended = subprocess.run(
        [sys.executable, "-c", name_itself], capture_output=True, text=True, check=True
    )
    dead = ended.stdout.strip()
    for name, owner in (("left", dead), ("unknown", None)):
        (staging / name).mkdir(parents=True)
        if owner is not None:
            (staging / name / ".owner").write_text(owner)
    assert [each.what for each in pruned(ingested_world)] == ["staging/left"]
    assert [path.name for path in staging.iterdir()] == ["unknown"]


def prune_until(params: str, left: int, when: float) -> None:
    """Prune, but be killed in the place of what would go after ``left`` others."""
    drop, dropped = module._drop, itertools.count()

    def killed(*given: Any) -> Any:
        if next(dropped) == left:
            os.kill(os.getpid(), signal.SIGKILL)
        return drop(*given)

    module._drop = killed
    config = load_config(Path(params), env={})
    with Ledger(config) as ledger:
        prune(config, ledger, when)


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("after", [pytest.param(0, marks=CI), 1])
def test_killed_in_between_a_second_call_ends_it(
    twice: World, forks: ForkServerContext, after: int
) -> None:
    before, when = checksum(twice.config), time.time() + 91 * DAYS
    killed = forks.Process(target=prune_until, args=(str(twice.params), after, when))
    killed.start()
    assert ended(killed) == -signal.SIGKILL
    assert checksum(twice.config) == before
    assert len(pruned(twice, 91)) == 2 - after
    assert checksum(twice.config) == before


@pytest.mark.slow
@pytest.mark.ci
def test_two_at_once_and_a_day_taken_in_meanwhile(twice: World, forks: ForkServerContext) -> None:
    day = twice.day(4)
    replaced_long_ago(twice, 91)
    # By the true clock: by one set forward, files of a commit at work are leftovers.
    arguments = (str(twice.params), -1, time.time())
    running = [forks.Process(target=prune_until, args=arguments) for _ in range(2)]
    for each in running:
        each.start()
    twice.write(day)
    with Ledger(twice.config) as ledger:
        ingest(twice.config, ledger, day)
    assert [ended(each) for each in running] == [0, 0]
    assert checksum(twice.config)[0] == 5 * 1200
    readable = [row["readable"] for row in day_versions(twice.config, twice.day(3))]
    assert readable == [False, False, True]
    assert pruned(twice) == []


def replaced_long_ago(world: World, days: float) -> None:
    """Let the log of the lake say that each old file was replaced so many days earlier."""
    for commit in (Workspace(world.config).lake / "_delta_log").glob("*.json"):
        entries = [json.loads(line) for line in commit.read_text().splitlines()]
        for entry in entries:
            if "remove" in entry:
                entry["remove"]["deletionTimestamp"] -= int(days * DAYS * 1000)
        commit.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
