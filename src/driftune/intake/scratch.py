"""Scratch: a folder of each ingestion's own under staging, and what killed ones have left there."""

import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.owners import has_ended, new_owner

LEFT_SECONDS = 24 * 3600
_OWNER = ".owner"


@contextmanager
def scratch(config: Config, day: date) -> Iterator[Path]:
    """A folder of this run's own, removed at the end: two runs of a day do not meet.

    What killed runs have left goes too.
    """
    for left in left_behind(Workspace(config).staging):
        shutil.rmtree(left, ignore_errors=True)
    folder = Workspace(config).staging / f"{day}-{uuid.uuid4().hex[:8]}"
    folder.mkdir(parents=True)
    try:
        (folder / _OWNER).write_text(new_owner(), encoding="utf-8")
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def left_behind(staging: Path, now: float | None = None) -> list[Path]:
    """Folders under staging that no run works in.

    Their owner was a process of this machine that is no more; or nothing in them has changed for
    more than a day. ``now``: seconds since 1970, by default the clock's.
    """
    now = time.time() if now is None else now
    found = []
    for folder in sorted(staging.glob("*")):
        with suppress(OSError):
            if _is_left(folder / _OWNER) or now - folder.stat().st_mtime > LEFT_SECONDS:
                found.append(folder)
    return found


def _is_left(owner: Path) -> bool:
    """Whether the owner has ended; of one that was never written whole, nobody knows."""
    try:
        return has_ended(owner.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
