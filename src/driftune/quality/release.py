"""Releases: what was let out of a day's quarantine, by whom and why; kept, and part of its content.

A release names reasons whose rows go in, or domains that are not refused; one without either only
says that the day is judged anew by the rules that params.yaml has now.
"""

import getpass
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from pydantic import BaseModel, TypeAdapter

from driftune.config import Config
from driftune.domains import domain_key
from driftune.errors import DriftuneError, SourceError
from driftune.files import read_json, write_json
from driftune.quality.settings import DOMAIN_REFUSED, DOMAIN_RULES, RELEASABLE, ROW_RULES
from driftune.workspace import Workspace


class Entry(BaseModel):
    """One release as it is kept; ``rules`` is the hash of the rules that it was judged by."""

    at: str
    by: str
    why: str
    reasons: list[str]
    domains: list[str]
    rules: str


@dataclass(frozen=True)
class Release:
    """Everything that was released of a day; ``entries`` is the audit, oldest first."""

    reasons: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    entries: tuple[dict[str, Any], ...] = ()

    @property
    def meaning(self) -> list[Any] | None:
        """What of it decides what the lake holds; None where nothing was released."""
        rules = [entry["rules"] for entry in self.entries]
        return [list(self.reasons), list(self.domains), rules] if self.entries else None


def read_release(workspace: Workspace, day: date) -> Release:
    """Read what was released of a day.

    Raises:
        DriftuneError: when its record is damaged; without it the day cannot be judged.
    """
    path = workspace.released(day)
    if not path.exists():
        return Release()
    try:
        kept = TypeAdapter(list[Entry]).validate_python(read_json(path))
        entries = tuple(entry.model_dump() for entry in kept)
        return Release(
            tuple(sorted({each for entry in entries for each in entry["reasons"]})),
            tuple(sorted({each for entry in entries for each in entry["domains"]})),
            entries,
        )
    except ValueError:
        raise DriftuneError(
            f"{path}: the record of releases is damaged; put it back from a backup"
        ) from None


def release_day(
    config: Config, ledger: Any, day: date, reasons: Sequence[str], domains: Sequence[str], why: str
) -> Any:
    """Record a release and bring the day in again under it; returns the ``Ingested`` day.

    The rows come from the day's source: when it fails, or the day is still refused, the release
    is withdrawn and the lake is as it was.

    Raises:
        DriftuneError: for a reason that cannot be released, or without a ``why``.
        SourceError: when the day's source is gone.
        DayRefusedError: when the day is refused all the same.
    """
    from driftune.logs.ingest import ingest

    wrong = [reason for reason in reasons if reason not in RELEASABLE]
    if wrong:
        raise DriftuneError(_never(wrong[0]))
    if not why.strip():
        raise DriftuneError("--why is empty; say why the rows are good, it is kept in the audit")
    workspace = Workspace(config)
    before = read_release(workspace, day)
    refused = _refused(workspace, day)
    for domain in domains:
        if domain not in refused:
            there = ", ".join(sorted(set(refused.values()))) or "none"
            raise DriftuneError(f"{day}: domain '{domain}' is not refused; refused are: {there}")
    entry = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "by": getpass.getuser(),
        "why": why.strip(),
        "reasons": sorted(reasons),
        "domains": sorted({refused[domain] for domain in domains}),
        "rules": rules_hash(config),
    }
    path = workspace.released(day)
    write_json(path, [*before.entries, entry])
    try:
        return ingest(config, ledger, day)
    except BaseException as error:
        if before.entries:
            write_json(path, list(before.entries))
        else:
            path.unlink(missing_ok=True)
        if isinstance(error, SourceError):
            raise SourceError(
                f"{day}: nothing was released, its rows are read from the source again: {error}"
            ) from None
        raise


def _refused(workspace: Workspace, day: date) -> dict[str, str]:
    """Names of the day's refused domains, by name and by key; of a day that was refused whole,
    those of the domains that broke a critical rule."""
    from driftune.quality.record import read_quality

    found: dict[str, str] = {}
    for redelivery in (False, True):
        quality = read_quality(workspace, day, redelivery=redelivery)
        for row in [] if quality is None else quality.refused:
            found |= {row["domain"]: row["domain"], row["key"]: row["domain"]}
        for check in [] if quality is None or quality.verdict != "refused" else quality.checks:
            if check["rule"] in DOMAIN_RULES and check["severity"] == "critical":
                for name in check.get("about", ()):
                    found |= {name: name, domain_key(name): name}
    return found


def rules_hash(config: Config) -> str:
    """Hash of the section ``quality``."""
    text = json.dumps(config.quality.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _never(reason: str) -> str:
    can = ", ".join(RELEASABLE)
    if reason == DOMAIN_REFUSED:
        return "a refused domain is released by its name: --domain NAME"
    if reason == "domain_unknown":
        return (
            "domain_unknown cannot be released: set domains.unknown: other, or take the domain's "
            "days among the reference days"
        )
    if reason in ROW_RULES:
        return f"{reason} cannot be released: such rows cannot be encoded; what can: {can}"
    return f"'{reason}' is no reason of a rejected row that can be released; there are {can}"
