"""Turns: a day is taken in by one run or release at a time."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

from filelock import FileLock, Timeout

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.errors import LakeError

log = logging.getLogger("driftune")

WAIT_SECONDS = 3600.0


@contextmanager
def turn(config: Config, day: date, wait: float = WAIT_SECONDS) -> Iterator[None]:
    """Have the day to oneself; another run or release of it waits, so many seconds at most.

    The lock is one of the operating system: it ends with its process, however that ends.

    Raises:
        LakeError: when the day stays taken, or cannot be locked.
    """
    path = Workspace(config).turn(day)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log.warning("%s: another run or release of the day is at work; waiting for it", day)
            lock.acquire(timeout=wait)
    except Timeout:
        raise LakeError(
            f"{day}: another run or release of the day has been at work for {wait:,.0f} s; "
            f"see which process holds {path}, and try again when it has ended"
        ) from None
    except OSError as error:
        raise LakeError(
            f"{day}: {path} cannot be locked ({error}); the lake is unchanged"
        ) from None
    try:
        yield
    finally:
        lock.release()
