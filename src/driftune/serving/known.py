"""Known bundles: the workspace remembers where bundles of the project were exported to."""

import hashlib
import time
from pathlib import Path
from typing import NamedTuple

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.io import read_json, write_json
from driftune.serving.places import Folder, below, place_of
from driftune.serving.presence import FOLDER


class Known(NamedTuple):
    """A bundle that was exported: its ``place``, and where processes that serve it report."""

    place: str
    report_to: str


def remember(config: Config, place: str, report_to: str | None = None) -> None:
    """Remember a bundle's place (absolute path or URL); ``report_to``: another than ``serving``
    in it. Folders that are gone are forgotten."""
    home = Workspace(config).bundles
    for known, path in _all(config):
        there = place_of(known.place)
        if isinstance(there, Folder) and not there.path.exists():
            path.unlink(missing_ok=True)
    name = hashlib.sha256(place.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    said = {"place": place, "report_to": report_to, "exported": time.time()}
    write_json(home / f"{name}.json", said)


def known_bundles(config: Config) -> list[Known]:
    """The bundles that were exported from this workspace, by their places."""
    return sorted(known for known, _ in _all(config))


def _all(config: Config) -> list[tuple[Known, Path]]:
    found = []
    for path in sorted(Workspace(config).bundles.glob("*.json")):
        try:
            said = read_json(path)
            place = str(said["place"])
            report_to = str(said["report_to"] or below(place, FOLDER))
        except (OSError, ValueError, KeyError, TypeError):
            # A record that was lost is written again by the next export.
            continue
        found.append((Known(place, report_to), path))
    return found
