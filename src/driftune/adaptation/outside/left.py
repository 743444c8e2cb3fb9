"""What runs of a decision's job, kept in a file meanwhile: a killed run's job is found by it."""

import os
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from driftune.adaptation.outside.job import Attempt, Deployments
from driftune.errors import RegistryError, TrainerBusyError, TrainerStoppedError
from driftune.io import read_json, write_sealed
from driftune.owners import place

if TYPE_CHECKING:
    from psutil import Process

# The variable by which a job is told its file, and its processes are known.
VARIABLE = "DRIFTUNE_JOB"
PATIENCE_SECONDS = 20.0
# By how much the same process's start differs when the machine's clock is corrected.
_CLOCK_SECONDS = 2.0


class Left(BaseModel):
    """An attempt's job as it was started: where, what process (None: a deployment's run).

    ``started``: seconds since 1970, when ``pid`` was; it and what it started know ``file``.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    file: str
    deadline: datetime
    place: str
    pid: int | None = None
    started: float | None = None


def note(attempt: Attempt, process: "Process | None" = None) -> None:
    """Keep what is about to run of an attempt."""
    left = Left(
        name=attempt.name,
        file=str(attempt.file),
        deadline=attempt.deadline,
        place=place(),
        pid=None if process is None else process.pid,
        started=None if process is None else process.create_time(),
    )
    write_sealed(attempt.note, left.model_dump(mode="json"))


def forget(note: Path, name: str) -> None:
    """Drop what is kept of the attempt of this name, unless it is another's by now."""
    with suppress(RegistryError):
        left = read_left(note)
        if left is not None and left.name == name:
            note.unlink(missing_ok=True)


def read_left(path: Path) -> Left | None:
    """What is kept of a job; None where nothing is.

    Raises:
        RegistryError: when the file is damaged.
    """
    try:
        return Left.model_validate(read_json(path))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        raise RegistryError(
            f"{path}: is damaged; see that no training job of the decision runs, and remove it"
        ) from None


def end_left(path: Path, deployed: Deployments | None) -> None:
    """End what runs of an attempt before, whose run was killed; nothing runs afterwards.

    Raises:
        RegistryError: when the file is damaged.
        TrainerBusyError: when something still runs, or may on another machine.
    """
    left = read_left(path)
    if left is None:
        return
    try:
        end_job(left, path, deployed)
    except TrainerStoppedError as error:
        raise TrainerBusyError(str(error)) from None
    forget(path, left.name)


def end_job(left: Left, path: Path, deployed: Deployments | None) -> None:
    """End what runs of an attempt, or see that nothing can.

    Raises:
        TrainerStoppedError: when something still runs, or may on another machine.
    """
    if left.pid is None:
        if deployed is None:
            raise TrainerStoppedError(
                f"{path}: the run {left.name} of a deployment may still be at work; let a flow "
                "adapt, which ends it, or cancel it and remove the file"
            )
        deployed.end(left.name)
    elif left.place == place():
        assert left.started is not None
        end_processes(left.file, (left.pid, left.started))
    elif datetime.now(UTC) < left.deadline:
        raise TrainerStoppedError(
            f"{path}: process {left.pid} on another machine ({left.place}) may still be at work; "
            f"end it there and remove the file, or wait until {left.deadline:%Y-%m-%d %H:%M} UTC"
        )


def end_processes(file: str, first: tuple[int, float] | None = None) -> None:
    """End all processes that know a job's file, whatever session they are of; none runs then.

    Args:
        first: number and start (seconds since 1970) of the job's first process, which need not
            have told what it knows yet.

    Raises:
        TrainerStoppedError: when one cannot be ended.
    """
    end = time.monotonic() + PATIENCE_SECONDS
    # One that is just being started is found when it is looked for again.
    while running := [each for each in _processes() if _is_of(each, file, first)]:
        if time.monotonic() > end:
            raise TrainerStoppedError(
                f"the processes of a training job cannot be ended: process {running[0].pid}"
            )
        for process in running:
            _kill(process)
        time.sleep(0.02)


def _processes() -> list["Process"]:
    import psutil

    return [each for each in psutil.process_iter() if each.pid != os.getpid()]


def _kill(process: "Process") -> None:
    import psutil

    with suppress(psutil.Error):
        process.kill()


def _is_of(process: "Process", file: str, first: tuple[int, float] | None) -> bool:
    """Whether a process is the job's first one, or knows the job's file; and still runs."""
    import psutil

    try:
        if first is not None and process.pid == first[0]:
            is_of = abs(process.create_time() - first[1]) < _CLOCK_SECONDS
        else:
            is_of = process.environ().get(VARIABLE) == file
        return is_of and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OSError):
        return False
