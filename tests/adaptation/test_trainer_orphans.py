"""Training jobs whose run is gone: ended by whoever comes, kept while their decision is held."""

import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import psutil
import pytest

from driftune.adaptation.adapt import adapt
from driftune.adaptation.outside.beat import Heart
from driftune.adaptation.outside.job import Attempt
from driftune.adaptation.outside.left import VARIABLE, Left
from driftune.adaptation.outside.orphans import end_orphans
from driftune.adaptation.outside.output import Output
from driftune.config.trainer import Trainer
from driftune.config.workspace import Workspace
from driftune.errors import TrainerBusyError, TrainerError
from driftune.io import write_sealed
from driftune.lake.scratch import left_behind
from driftune.owners import place
from driftune.project import Project
from driftune.registry.claims import ATTEMPTS
from driftune.registry.ledger import Ledger
from driftune.retention.erase import _elsewhere
from tests.adaptation.trainers import name_trainer, shell
from tests.conftest import World
from tests.crowning import pending

DEAD = f"{place()}:99999999:1"


def leave(world: World, decision: str, where: str, hours: float, pid: int = 1 << 22) -> Left:
    """The note of a job, and its folder, whose run was killed."""
    folder = Workspace(world.config).staging / f"trainer-{decision}-0a1b2c3d"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".owner").write_text(DEAD)
    started = psutil.Process(pid).create_time() if psutil.pid_exists(pid) else 1.0
    left = Left(
        name=folder.name,
        file=str(folder / "job.json"),
        deadline=datetime.now(UTC) + timedelta(hours=hours),
        place=where,
        pid=pid,
        started=started,
    )
    write_sealed(Workspace(world.config).trainer(decision), left.model_dump(mode="json"))
    return left


@pytest.fixture
def orphan(next_day_world: World) -> Iterator[tuple[World, str, subprocess.Popen[bytes]]]:
    """A world, a decision, and a job of it that nobody waits for."""
    world = next_day_world
    decision = pending(world, world.day(3))
    file = Workspace(world.config).staging / f"trainer-{decision}-0a1b2c3d" / "job.json"
    with subprocess.Popen(["sleep", "1000"], env={**os.environ, VARIABLE: str(file)}) as process:
        leave(world, decision, place(), 1, process.pid)
        yield world, decision, process
        process.kill()


def test_it_is_ended_once_no_run_holds_its_decision(
    orphan: tuple[World, str, subprocess.Popen[bytes]],
) -> None:
    world, decision, process = orphan
    with Ledger(world.config) as ledger:
        owner = ledger.claim(decision)
        assert owner is not None
        assert end_orphans(world.config, ledger) == []
        assert process.poll() is None
        # Its folder stays while it may be at work.
        assert left_behind(Workspace(world.config).staging) == []
        ledger.release(decision, owner, "killed", final=False)
        assert end_orphans(world.config, ledger) == [decision]
    assert process.wait(60) == -9
    assert not Workspace(world.config).trainer(decision).exists()
    assert len(left_behind(Workspace(world.config).staging)) == 1


def test_notes_go_when_their_deadline_has_passed(next_day_world: World) -> None:
    world = next_day_world
    leave(world, "later", "elsewhere", 1)
    leave(world, "passed", "elsewhere", -1)
    damaged = Workspace(world.config).trainer("damaged")
    damaged.write_text("{")
    with Ledger(world.config) as ledger:
        assert end_orphans(world.config, ledger) == ["passed"]
    kept = {path.stem for path in damaged.parent.iterdir()}
    assert kept == {"later", "damaged"}


@pytest.mark.slow
@pytest.mark.ci
def test_waiting_for_a_job_of_another_machine_counts_as_no_try(next_day_world: World) -> None:
    world = next_day_world
    decision = pending(world, world.day(3))
    name_trainer(world, shell("exit 3"))
    leave(world, decision, "elsewhere", 1)
    with Project(world.config, mirrored=False) as project:
        for _ in range(ATTEMPTS + 1):
            with pytest.raises(TrainerBusyError, match="on another machine"):
                adapt(project, decision)
            row = project.ledger.decision(decision)
            assert (row.state, row.attempts) == ("pending", 0)
        Workspace(world.config).trainer(decision).unlink()
        assert adapt(project, decision) == "failed"
        assert project.ledger.decision(decision).attempts == 1


@pytest.mark.slow
@pytest.mark.ci
def test_rows_of_a_job_at_work_are_told_by_an_erasure(next_day_world: World) -> None:

    world = next_day_world
    folder = Workspace(world.config).staging / "trainer-x"
    folder.mkdir(parents=True)
    duckdb.sql("SELECT '17' AS user_id, 1 AS click").write_parquet(str(folder / "train.parquet"))
    (name,) = _elsewhere(world.config, ["17"])
    assert name.endswith("staging/trainer-x/train.parquet")
    assert _elsewhere(world.config, ["18"]) == []


def test_a_folder_that_is_gone_is_one_line(tmp_path: Path) -> None:
    attempt = Attempt(
        decision_id="d",
        domain="home",
        trainer=Trainer(command=["x"]),
        folder=tmp_path / "gone",
        params=tmp_path / "params.yaml",
        note=tmp_path / "note.json",
        deadline=datetime.now(UTC),
    )
    with pytest.raises(TrainerError, match="home: the folder of the training job was removed"):
        Heart(attempt, lambda *_: None, 60).now()


@pytest.mark.parametrize("name", ["DB_PASS", "PGPASS", "PASSPHRASE", "CONNECTION_STRING", "DSN"])
def test_values_of_secret_names_are_left_out(name: str) -> None:
    output = Output("d", {name: "correct-horse"})
    output.take("stdout", b"it is correct-horse\n")
    assert output.last == {"stdout": "it is …"}
