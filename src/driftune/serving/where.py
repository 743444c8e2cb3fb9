"""What serves where: bundles of the project against the ledger, and processes that serve them."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypedDict

from driftune.config import Config
from driftune.errors import BundleError
from driftune.redact import redact
from driftune.registry.ledger import BASE, Ledger
from driftune.registry.rows import Pointer
from driftune.serving.known import Known, known_bundles
from driftune.serving.manifest import Manifest, manifest_in
from driftune.serving.places import place_of
from driftune.serving.presence import Process, processes


class ProcessStatus(TypedDict):
    """A process that serves a bundle: ``current``, ``former`` (another bundle than lies there now),
    or ``silent`` (it may be gone). Moments are UTC; ``differs``: domains that it serves by another
    version than the champion, a line each; ``problem``: why it could not take up a newer bundle.
    """

    host: str
    pid: int
    since: str
    seen: str
    state: str
    bundle: str
    day: str
    differs: list[str]
    problem: str | None


class BundleStatus(TypedDict):
    """A bundle: its hash and day (None where it cannot be read, ``problem`` says why), the domains
    that have another version in it than the champion, a line each, its processes, and how many
    files of processes could not be read."""

    place: str
    bundle: str | None
    day: str | None
    differs: list[str]
    problem: str | None
    processes: list[ProcessStatus]
    unreadable: int


def bundle_status(config: Config, ledger: Ledger) -> list[BundleStatus]:
    """Every bundle that was exported from this workspace, and who serves it."""
    known = known_bundles(config)
    if not known:
        return []
    pointers, now = ledger.champions(), time.time()
    return [_bundle(ledger, pointers, each, now) for each in known]


def _bundle(
    ledger: Ledger, pointers: Mapping[str, Pointer], known: Known, now: float
) -> BundleStatus:
    manifest, problem, found, unreadable = None, None, list[Process](), 0
    try:
        manifest = manifest_in(place_of(known.place))
        found, unreadable = processes(place_of(known.report_to))
    except BundleError as error:
        problem = str(error)
    versions = {} if manifest is None else _versions(manifest)
    names = {key: pointer.domain for key, pointer in pointers.items()}
    if manifest is not None:
        names |= {key: each.name for key, each in manifest.domains.items()}
    wanted = _wanted(ledger, pointers, manifest)
    return {
        "place": redact(known.place),
        "bundle": None if manifest is None else manifest.bundle,
        "day": None if manifest is None else manifest.day.isoformat(),
        "differs": [] if manifest is None else _differs(versions, wanted, names),
        "problem": problem,
        "processes": [
            {
                "host": each.host,
                "pid": each.pid,
                "since": _moment(each.since),
                "seen": _moment(each.seen),
                "state": _state(each, manifest, now),
                "bundle": each.bundle,
                "day": each.day,
                "differs": _differs(each.versions, wanted, names),
                "problem": each.problem,
            }
            for each in found
        ],
        "unreadable": unreadable,
    }


def _versions(manifest: Manifest) -> dict[str, int]:
    """The adapters of a bundle, by domain key."""
    return {key: each.version for key, each in manifest.domains.items() if each.part is not None}


def _wanted(
    ledger: Ledger, pointers: Mapping[str, Pointer], manifest: Manifest | None
) -> dict[str, int]:
    """The versions that champions have, by domain key; the base's where one does not fit the
    bundle's model."""
    found = {key: row.version for key, row in pointers.items() if row.version != BASE}
    had = {} if manifest is None else _versions(manifest)
    for key in [key for key, version in found.items() if manifest and key not in had]:
        record = ledger.adapter(key, found[key])
        if record is None or record.backbone != (manifest.backbone if manifest else None):
            del found[key]
    return found


def _differs(
    versions: Mapping[str, int], wanted: Mapping[str, int], names: Mapping[str, str]
) -> list[str]:
    lines = []
    for key in sorted({*versions, *wanted}, key=lambda key: names.get(key, key)):
        has, champion = versions.get(key, BASE), wanted.get(key, BASE)
        if has != champion:
            lines.append(f"{names.get(key, key)}: {_name(has)}; {_name(champion)} is champion")
    return lines


def _name(version: int) -> str:
    return f"v{version}" if version != BASE else "base"


def _state(process: Process, manifest: Manifest | None, now: float) -> str:
    if process.is_silent(now):
        return "silent"
    current = manifest is None or process.bundle == manifest.bundle
    return "current" if current else "former"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
