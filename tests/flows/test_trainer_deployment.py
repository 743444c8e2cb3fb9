"""A training job of the user's own as a deployment: its runs on a real server and runner."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL
from prefect.states import Completed

from driftune.adaptation.outside.job import Attempt
from driftune.adaptation.outside.left import end_left, note
from driftune.config.trainer import Trainer
from driftune.errors import ConfigError, TrainerError, TrainerStoppedError
from driftune.registry.ledger import Ledger
from driftune.registry.schema import decisions
from flows.adapt import adapt
from tasks import trainer
from tasks.trainer import DeployedTrainers
from tests.adaptation.trainers import documented, name_trainer
from tests.conftest import World

FLOW = """
import os
import runpy
from pathlib import Path

from prefect import flow


@flow(name="train")
def train(job: str):
    if Path("fails").exists():
        raise ValueError("no rows at s3://me:battery@store")
    os.environ["DRIFTUNE_JOB"] = job
    runpy.run_path("train.py")


if __name__ == "__main__":
    train.serve(name="own")
"""
PATIENCE = 240


@contextmanager
def served(folder: Path) -> Iterator[None]:
    """The deployment train/own, its runs taken by a process of their own."""
    documented(folder)
    (folder / "own.py").write_text(FLOW)
    env = {**os.environ, "PREFECT_API_URL": str(PREFECT_API_URL.value())}
    process = subprocess.Popen([sys.executable, "own.py"], cwd=folder, env=env)
    try:
        end = time.monotonic() + PATIENCE
        while not _is_there():
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.2)
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _is_there() -> bool:
    with get_client(sync_client=True) as client:
        try:
            client.read_deployment_by_name("train/own")
        except ObjectNotFound:
            return False
    return True


def attempt_in(folder: Path, seconds: float, deployment: str = "train/own") -> Attempt:
    """An attempt of which nothing but its name and deadline matters."""
    own = folder / folder.name
    own.mkdir()
    return Attempt(
        decision_id="d",
        domain="home",
        trainer=Trainer(deployment=deployment),
        folder=own,
        params=folder / "params.yaml",
        note=folder / "note.json",
        deadline=datetime.now(UTC) + timedelta(seconds=seconds),
    )


def states(name: str) -> list[str]:
    """The states of the runs of a name."""
    with get_client(sync_client=True) as client:
        runs = [run for run in client.read_flow_runs() if run.name == name]
    return [run.state.name for run in runs if run.state]


@pytest.mark.slow
@pytest.mark.ci
def test_a_deployment_trains_fails_in_one_line_and_is_cancelled_when_nobody_takes_it(
    waiting: tuple[World, str], tmp_path: Path
) -> None:
    world, decision = waiting
    name_trainer(world, None, deployment="train/own")
    with served(world.root):
        (world.root / "fails").touch()
        assert adapt(decision, str(world.params)) == "failed"
        with Ledger(world.config) as ledger:
            row = ledger.decision(decision)
            said = row.note or ""
            assert f"{row.domain}: the run of train/own ended as Failed: " in said
            assert "no rows at s3://…@store" in said and "\n" not in said
            with ledger.write() as connection:
                again = decisions.update().where(decisions.c.id == decision)
                connection.execute(again.values(state="pending", attempts=0))
        (world.root / "fails").unlink()
        assert adapt(decision, str(world.params)) in ("promoted", "rejected")
        with Ledger(world.config) as ledger:
            training = ledger.decision(decision).training
        assert training is not None and training.trainer == "deployment"
        assert set(training.reported) == {"select_loss", "epochs"}
    beats: list[int] = []
    nobody = attempt_in(tmp_path, 3)
    with pytest.raises(TrainerError, match=r"the run of train/own was not done after .* cancel"):
        DeployedTrainers().run(nobody, lambda: beats.append(1))
    assert states(nobody.name) == ["Cancelled"] and beats and not nobody.note.exists()


@pytest.mark.slow
@pytest.mark.ci
def test_what_a_killed_run_left_is_cancelled(tmp_path: Path) -> None:
    with served(tmp_path):
        pass
    left = attempt_in(tmp_path, 3600)
    note(left)
    # Killed before the run was made, or after.
    end_left(left.note, DeployedTrainers())
    note(left)
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name("train/own")
        run = client.create_flow_run_from_deployment(
            deployment.id, parameters={"job": "x"}, name="left", idempotency_key=left.name
        )
    end_left(left.note, DeployedTrainers())
    assert states("left") == ["Cancelled"], run
    assert not left.note.exists()


class Away:
    """A server's client that fails, then tells of a state, or of none, then of an end."""

    def __init__(self, *answers: State | Exception | None) -> None:
        self.answers = [*answers]

    def read_flow_run(self, run_id: object) -> SimpleNamespace:
        """The next answer."""
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(state=answer)


def awaited(client: Away) -> State | None:
    """What comes of waiting for a run."""
    end = datetime.now(UTC) + timedelta(hours=1)
    run = SimpleNamespace(id=1)
    return trainer._awaited(client, run, end, lambda: None)  # type: ignore[arg-type]


def test_a_server_that_is_away_for_a_while_ends_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "LOOK_SECONDS", 0)
    lost = httpx.ConnectError("refused")
    ended = awaited(Away(lost, lost, None, Completed()))
    assert ended is not None and ended.is_completed()
    monkeypatch.setattr(trainer, "AWAY_SECONDS", -1)
    with pytest.raises(TrainerStoppedError, match="the Prefect server was away"):
        awaited(Away(lost))


def test_a_deployment_that_is_not_there(tmp_path: Path) -> None:
    missing = attempt_in(tmp_path, 60, "train/nobody")
    with pytest.raises(ConfigError, match=r"'train/nobody': the Prefect server knows no such"):
        DeployedTrainers().run(missing, lambda: None)
    assert not missing.note.exists()
