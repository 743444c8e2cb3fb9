"""Presence: every process that serves a bundle says so in a small file, so that others see it.

The files lie in ``serving/`` beside the bundle's manifest, or where the process is told, one a
process. It is written anew with every look at the bundle, and removed when the process ends well.
"""

import json
import os
import socket
import time
import uuid
from dataclasses import dataclass

from driftune.io import Json, JsonObject
from driftune.serving.manifest import Manifest
from driftune.serving.places import Bucket, Folder

FOLDER = "serving"
# Without a word for three looks and this many seconds a process counts as silent.
GRACE = 60
# Silent for a day, its file is removed by the next process that begins to serve.
KEPT = 86_400
_MOST_FILES, _MOST_BYTES = 1000, 1 << 20


@dataclass(frozen=True)
class Process:
    """What a process says: where it runs, ``since`` when, and when it was last ``seen`` (seconds
    since 1970), every how many seconds it looks (``poll``), the hash of the ``bundle`` that it
    serves, its ``day`` (ISO), the adapters' ``versions`` by domain key, and why it could not take
    up a newer one (``problem``)."""

    host: str
    pid: int
    since: float
    seen: float
    poll: float
    bundle: str
    day: str
    versions: dict[str, int]
    problem: str | None

    def is_silent(self, now: float) -> bool:
        """Whether it has said nothing for so long that it may be gone; ``now``: seconds."""
        return now - self.seen > 3 * self.poll + GRACE


class Reporter:
    """Writes this process's file."""

    def __init__(self, place: Folder | Bucket, poll: float) -> None:
        """Report to a place; ``poll``: seconds between two reports."""
        self.place, self.poll = place, poll
        self._since, self._begun = time.time(), False
        self._name = f"{uuid.uuid4().hex}.json"

    def report(self, manifest: Manifest, problem: str | None = None) -> None:
        """Say which bundle serves now, and why not a newer one.

        Raises:
            BundleError: in one line, when the place cannot be written.
        """
        said: JsonObject = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "since": self._since,
            "seen": time.time(),
            "poll": self.poll,
            "bundle": manifest.bundle,
            "day": manifest.day.isoformat(),
            "versions": {
                key: domain.version
                for key, domain in manifest.domains.items()
                if domain.part is not None
            },
            "problem": problem,
        }
        self.place.write(self._name, json.dumps(said, sort_keys=True).encode())
        if not self._begun:
            drop_old(self.place)
            self._begun = True

    def leave(self) -> None:
        """Say that this process serves no more.

        Raises:
            BundleError: in one line, when the place cannot be written.
        """
        self.place.drop(self._name)


def processes(place: Folder | Bucket) -> tuple[list[Process], int]:
    """The processes that report to a place, by host and process, and how many of their files could
    not be read.

    Raises:
        BundleError: in one line, when the place cannot be reached.
    """
    found = _files(place)
    read = [each for each in found.values() if each is not None]
    read.sort(key=lambda each: (each.host, each.pid, each.since))
    return read, len(found) - len(read)


def drop_old(place: Folder | Bucket) -> None:
    """Remove the files of processes that have been silent for a day.

    Raises:
        BundleError: in one line, when the place cannot be reached or written.
    """
    now = time.time()
    for name, process in _files(place).items():
        if process is not None and now - process.seen > KEPT and process.is_silent(now):
            place.drop(name)


def _files(place: Folder | Bucket) -> dict[str, Process | None]:
    """The processes by their files' names; None for what is no such file."""
    found: dict[str, Process | None] = {}
    named = {name: size for name, size in place.names().items() if name.endswith(".json")}
    for name, size in [*sorted(named.items())][:_MOST_FILES]:
        if "/" in name or name.startswith("."):
            continue
        data = place.read(name) if size <= _MOST_BYTES else b""
        if data is not None:
            found[name] = _process(data)
    return found


def _process(data: bytes) -> Process | None:
    try:
        said = json.loads(data)
        problem = said["problem"]
        return Process(
            host=str(said["host"])[:255],
            pid=int(said["pid"]),
            since=_seconds(said["since"]),
            seen=_seconds(said["seen"]),
            poll=_seconds(said["poll"]),
            bundle=str(said["bundle"])[:64],
            day=str(said["day"])[:10],
            versions={str(key): int(number) for key, number in said["versions"].items()},
            problem=None if problem is None else str(problem)[:500],
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


def _seconds(said: Json) -> float:
    """A moment or a length that a calendar can show.

    Raises:
        ValueError: when it is none.
    """
    if not isinstance(said, int | float) or not 0 <= said < 1e11:
        raise ValueError(f"{said} is no number of seconds")
    return float(said)
