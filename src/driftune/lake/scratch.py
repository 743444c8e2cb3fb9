"""Scratch: a folder of each run's own under staging, and what killed ones have left there."""

import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.lake.duck import Connection, connect
from driftune.owners import has_ended, new_owner

LEFT_SECONDS = 24 * 3600
_OWNER = ".owner"


@contextmanager
def scratch(config: Config, name: date | str) -> Iterator[Path]:
    """A folder of this run's own, removed at the end: two runs of a day do not meet.

    What killed runs have left goes too.
    """
    for left in left_behind(Workspace(config).staging):
        shutil.rmtree(left, ignore_errors=True)
    folder = Workspace(config).staging / f"{name}-{uuid.uuid4().hex[:8]}"
    folder.mkdir(parents=True)
    try:
        (folder / _OWNER).write_text(new_owner(), encoding="utf-8")
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def connect_within(config: Config, reach: Iterable[Path]) -> Iterator[Connection]:
    """DuckDB as ``connect`` opens it, for queries that hold much: within ``resources.memory``.

    What does not fit goes to scratch: what a killed run leaves of it is found there by the next
    one, by prune and by an erasure.
    """
    with (
        scratch(config, "query") as folder,
        connect(reach=reach, memory=config.resources.memory, spill=folder / "spill") as con,
    ):
        yield con


def left_behind(staging: Path, now: float | None = None) -> list[Path]:
    """Folders under staging that no run works in.

    Their owner was a process of this machine that is no more; or nothing in them has changed for
    more than a day. One that a training job may be at work in is none of them: its note in
    ``trainers`` goes first. ``now``: seconds since 1970, by default the clock's.
    """
    now = time.time() if now is None else now
    found = []
    jobs = _jobs(staging.parent / "trainers")
    for folder in sorted(staging.glob("*")):
        if any(folder.name in note for note in jobs):
            continue
        with suppress(OSError):
            if _is_left(folder / _OWNER) or now - folder.stat().st_mtime > LEFT_SECONDS:
                found.append(folder)
    return found


def _jobs(notes: Path) -> list[str]:
    found = []
    for path in notes.glob("*.json"):
        with suppress(OSError):
            found.append(path.read_text(encoding="utf-8", errors="replace"))
    return found


def _is_left(owner: Path) -> bool:
    """Whether the owner has ended; of one that was never written whole, nobody knows."""
    try:
        return has_ended(owner.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
