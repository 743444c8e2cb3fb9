"""The record of releases: what was let out of a day's quarantine, by whom and why."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from pydantic import BaseModel, ConfigDict, TypeAdapter

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.errors import DriftuneError, LakeError
from driftune.io import Json, read_json, write_sealed
from driftune.quality.parts import ReleaseRecord


class Entry(BaseModel):
    """One release. It names reasons whose rows go in, or domains that are not refused; without
    either it only says that the day was judged again.

    ``content`` is the hash of the delivery that was looked at, and the only one that it holds for.
    ``done``: a run under it has ended. Records of old have neither; theirs hold for each delivery.
    """

    model_config = ConfigDict(frozen=True)

    at: str
    by: str
    why: str
    reasons: list[str]
    domains: list[str]
    content: str | None = None
    done: bool = True

    def is_of(self, content: str) -> bool:
        """Whether it holds for a delivery."""
        return self.content is None or self.content == content

    def record(self) -> ReleaseRecord:
        """What the day's quality record says of it."""
        return {
            "at": self.at,
            "by": self.by,
            "why": self.why,
            "reasons": self.reasons,
            "domains": self.domains,
            "content": self.content,
        }

    @property
    def names(self) -> str:
        """What it let in, for people."""
        return ", ".join([*self.reasons, *self.domains]) or "judged again"


@dataclass(frozen=True)
class Release:
    """What was released of a day; ``entries`` is the audit, oldest first."""

    entries: tuple[Entry, ...] = ()

    def of(self, content: str) -> "Release":
        """The part that holds for a delivery."""
        return Release(tuple(entry for entry in self.entries if entry.is_of(content)))

    @property
    def reasons(self) -> tuple[str, ...]:
        """Reasons whose rows go in."""
        return tuple(sorted({name for entry in self.entries for name in entry.reasons}))

    @property
    def domains(self) -> tuple[str, ...]:
        """Domains that are not refused."""
        return tuple(sorted({name for entry in self.entries for name in entry.domains}))


def read_release(workspace: Workspace, day: date) -> Release:
    """Read everything that was released of a day, whatever the delivery.

    Raises:
        DriftuneError: when its record is damaged; without it the day cannot be judged.
    """
    path = workspace.released(day)
    if not path.exists():
        return Release()
    try:
        return Release(tuple(TypeAdapter(list[Entry]).validate_python(_entries(read_json(path)))))
    except (OSError, ValueError):
        raise DriftuneError(
            f"{path}: the record of releases is damaged; put it back from a backup"
        ) from None


def _entries(found: Json) -> Json:
    """The entries of a record; earlier releases kept nothing else in it."""
    return found["entries"] if isinstance(found, dict) and "entries" in found else found


def keep(workspace: Workspace, day: date, entries: Sequence[Entry]) -> None:
    """Write the day's releases; the caller has the day's turn.

    Raises:
        LakeError: when they cannot be written.
    """
    path = workspace.released(day)
    try:
        if entries:
            write_sealed(path, {"entries": [entry.model_dump() for entry in entries]})
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise LakeError(f"{path}: cannot be written ({error}); make room, then try again") from None


def finish(workspace: Workspace, day: date, content: str) -> None:
    """Mark what was released of a delivery as done: its rows are in the lake."""
    entries = read_release(workspace, day).entries
    if any(entry.is_of(content) and not entry.done for entry in entries):
        ended = {"done": True}
        keep(workspace, day, [
            entry.model_copy(update=ended) if entry.is_of(content) else entry for entry in entries
        ])  # fmt: skip


def withdraw(workspace: Workspace, day: date, content: str) -> list[Entry]:
    """Drop what was released of a delivery and is not done; returns it."""
    entries = read_release(workspace, day).entries
    dropped = [entry for entry in entries if entry.is_of(content) and not entry.done]
    if dropped:
        keep(workspace, day, [entry for entry in entries if entry not in dropped])
    return dropped


def rules_hash(config: Config, release: Release) -> str:
    """Hash of what a delivery is judged by: the section ``quality``, and what is let in of it."""
    rules = [config.quality.model_dump(mode="json"), release.reasons, release.domains]
    return hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()[:16]
