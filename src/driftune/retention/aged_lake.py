"""What of the lake is past its time: files of old versions, whole days, caches drawn from it."""

import json
import time
from collections.abc import Iterator
from datetime import date, timedelta
from urllib.parse import unquote

from driftune.checksums import beside
from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.drift.profiles import profile_path
from driftune.errors import BackboneError
from driftune.features.days import encoded_path
from driftune.features.encoder import load_encoder
from driftune.lake.many_days import INDEX
from driftune.lake.store import LakeStore
from driftune.lake.table import Lake
from driftune.registry.decision_queries import open_decisions
from driftune.registry.ledger import Ledger
from driftune.registry.rollback import serviceable
from driftune.retention.found import Aged, Finding, Kept

DAY = 24 * 3600
# Files that no version names may be those of a commit at work.
AT_WORK = DAY


def aged_versions(config: Config, now: float) -> Iterator[Finding]:
    """Files that newer deliveries replaced long ago, and those that no version ever named."""
    view = Lake.of(config)
    if view.schema is None:
        return
    current = {name for files in view.files.values() for name in files}
    old = [file for file in view.store.files() if file.name not in current]
    keep, replaced = config.retention.versions, _replaced(view.store)
    for file in old:
        day, since, held = file.day, replaced.get(file.name), (file,)
        if since is None:
            if now - file.modified > AT_WORK:
                yield Aged("leftovers", f"{file.name} of no version of the lake", (), held, day)
        elif keep is None:
            yield Kept("versions", "retention.versions is null: all old versions")
        elif now - since > keep * DAY:
            days = int((now - since) // DAY)
            yield Aged("versions", f"{day}: a version replaced {days} days ago", (), held, day)
        else:
            yield Kept("versions", f"versions replaced within the last {keep} days")


def aged_days(config: Config, ledger: Ledger) -> Iterator[Finding]:
    """Days of the lake that nothing needs any more; the data's clock is the newest day."""
    keep, view = config.retention.lake, Lake.of(config)
    if keep is None or not view.days:
        yield Kept("lake", "retention.lake is null: all days")
        return
    old = [day for day in view.days if day < view.days[-1] - timedelta(days=keep)]
    if not old:
        return
    waiting = open_decisions(ledger)
    if waiting:
        yield Kept("lake", f"{waiting} decisions are open, and rest on all days up to theirs")
        return
    needed = needed_days(config, ledger)
    for day in old:
        if day in needed:
            yield Kept("lake", needed[day])
        else:
            yield Aged("lake", f"{day}: a day of the lake", day=day.isoformat())


def needed_days(config: Config, ledger: Ledger) -> dict[date, str]:
    """Days that must stay in the lake, and why: reference days, those that a version which may
    serve is compared with, and what their counters look back at.
    """
    found = dict.fromkeys(config.reference.days, "reference days: pre-training rests on them")
    why = "days that champions, or versions a rollback leads to, are compared with"
    serve = {key: set(serviceable(ledger, key)) for key in ledger.champions()}
    compared: set[date] = set()
    for row in ledger.decisions():
        if row.champion_version in serve.get(row.domain_key, {0}):
            compared |= {*row.scores.reference}
    for key, versions in serve.items():
        for record in ledger.versions(key):
            if record.version in versions:
                compared |= set(map(date.fromisoformat, record.reference_days))
    own = config.recommender
    pasts = 0 if own is None or own.history is None else own.history.days
    back = max(config.features.counters.history_days, pasts)
    for day in sorted(compared):
        found.setdefault(day, why)
    for day in sorted(found):
        for number in range(1, back + 1):
            before = day - timedelta(days=number)
            found.setdefault(before, "days that the features of needed days look back at")
    return found


def aged_caches(config: Config, now: float) -> Iterator[Finding]:
    """Encoded days and drift counts of contents that the lake no longer has."""
    keep, workspace, view = config.retention.caches, Workspace(config), Lake.of(config)
    for index in sorted(workspace.many_days.glob(f"*/{INDEX}")):
        if keep is not None and now - index.stat().st_mtime > keep * DAY:
            what = f"{index.parent.name}: a file of many days, by day"
            yield Aged("caches", what, (index.parent,))
    kept = set()
    try:
        encoder = load_encoder(workspace.model / "encoder")
    except BackboneError:
        yield Kept("caches", "the encoder cannot be read: nobody knows which are in use")
        return
    for day in view.days:
        encoded = encoded_path(config, encoder, day, view)
        kept |= {encoded, profile_path(config, day, encoded)}
    if keep is None:
        yield Kept("caches", "retention.caches is null: all")
        return
    # Of a lake in an object store, what is not read for long can be fetched again.
    for folder in (workspace.features, workspace.profiles, workspace.lake_cache):
        for path in sorted(folder.rglob("*.parquet")):
            if path in kept:
                yield Kept("caches", "those of what the lake holds")
            elif now - path.stat().st_mtime > keep * DAY:
                what = f"{path.name[:10]}: drawn from a content that is gone"
                if folder == workspace.lake_cache:
                    what = f"{path.parent.name.removeprefix('day=')}: a copy of the lake's file"
                yield Aged("caches", what, (path, beside(path)))
        for note in sorted(folder.rglob("*.sha256")):
            if not note.with_suffix("").exists() and now - note.stat().st_mtime > AT_WORK:
                yield Aged("leftovers", f"{note.name}: a checksum without its file", (note,))


def _replaced(store: LakeStore) -> dict[str, float]:
    """When each file (its path within the lake) ceased to be current, in seconds since 1970.

    By the log itself; of files whose entry a checkpoint has swallowed, the oldest time known.
    """
    found: dict[str, float] = {}
    added: set[str] = set()
    for commit in store.log():
        for line in commit.splitlines():
            entry = json.loads(line)
            if "add" in entry:
                added.add(unquote(entry["add"]["path"]))
            if "remove" in entry:
                removed = entry["remove"]
                found[unquote(removed["path"])] = (removed.get("deletionTimestamp") or 0) / 1000
    return {**dict.fromkeys(added - set(found), time.time()), **found}
