"""Orphans: jobs whose run was killed, and whose decision no other run has taken up."""

import logging
from datetime import UTC, datetime
from pathlib import Path

from driftune.adaptation.outside.job import Deployments
from driftune.adaptation.outside.left import Left, end_job, forget, read_left
from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.errors import RegistryError, TrainerStoppedError
from driftune.registry.decision_queries import held_decisions
from driftune.registry.ledger import Ledger

log = logging.getLogger("driftune")


def end_orphans(config: Config, ledger: Ledger, deployed: Deployments | None = None) -> list[str]:
    """End jobs whose decision no run holds, and drop their notes; returns the decisions' ids.

    What cannot be ended is a warning, and is not kept past its deadline.
    """
    found = {path: left for path in _notes(config) if (left := _readable(path)) is not None}
    # Asked for later than the notes were read: a job that is begun meanwhile is not among them.
    held = held_decisions(ledger) if found else set()
    return [
        path.stem
        for path, left in found.items()
        if path.stem not in held and _is_ended(path, left, deployed)
    ]


def _notes(config: Config) -> list[Path]:
    return sorted(Workspace(config).trainer("any").parent.glob("*.json"))


def _readable(path: Path) -> Left | None:
    try:
        return read_left(path)
    except RegistryError as error:
        log.warning("%s", error)
        return None


def _is_ended(path: Path, left: Left, deployed: Deployments | None) -> bool:
    try:
        end_job(left, path, deployed)
    except Exception as error:  # a server that is away stops no run
        if datetime.now(UTC) < left.deadline or not isinstance(error, TrainerStoppedError):
            log.warning("%s: a training job without a run: %s", path.stem, error)
            return False
    forget(path, left.name)
    log.info("%s: ended a training job whose run was killed", path.stem)
    return True
