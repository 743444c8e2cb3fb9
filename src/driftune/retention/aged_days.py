"""What a day left beside the lake and is past its time: quarantine, Data Docs; and leftovers."""

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.lake.scratch import left_behind
from driftune.lake.store import LakeFolder, store_of
from driftune.lake.table import Lake
from driftune.reports.docs_page import docs_path
from driftune.retention.aged_lake import AT_WORK
from driftune.retention.found import Aged, Finding, Kept

# Files that appear whole, while they are written, and the journals of databases among them.
_UNFINISHED = re.compile(r"\.part(-journal|-wal|-shm)?$")
# Staged days go by their owner; the other is Prefect's.
_NOT_OURS = ("staging", "prefect")
_NAMES = {"quarantine": "rejected rows", "records": "Data Docs"}


def aged_records(config: Config) -> Iterator[Finding]:
    """Quarantine files and Data Docs of days long before the newest of the lake."""
    days, workspace = Lake.of(config).days, Workspace(config)
    folders = {"quarantine": workspace.home / "quarantine", "records": workspace.home / "data_docs"}
    for kind, folder in folders.items():
        keep = getattr(config.retention, kind)
        if keep is None:
            yield Kept(kind, f"retention.{kind} is null: {_NAMES[kind]} of all days")
            continue
        oldest = (days[-1] - timedelta(days=keep)).isoformat() if days else ""
        for path in sorted(folder.glob("????-??-??*")):
            name = path.name[:10]
            if name >= oldest or not _is_day(name):
                yield Kept(kind, f"{_NAMES[kind]} of the last {keep} days")
                continue
            paths = [path]
            if kind == "records":
                refused = path.name != f"{name}.json"
                page = docs_path(date.fromisoformat(name), redelivery=refused)
                paths.append(workspace.reports / page)
            yield Aged(kind, f"{name}: {_NAMES[kind]}", tuple(paths), day=name)
    yield Kept("records", "quality records: day pages are made of them, later days compared")


def leftovers(config: Config, now: float) -> Iterator[Finding]:
    """What killed runs left: staged days, and files that were never finished."""
    workspace = Workspace(config)
    for folder in left_behind(workspace.staging, now):
        yield Aged("leftovers", f"staging/{folder.name}", (folder,))
    for folder in sorted({workspace.home, *_elsewhere(config)}):
        for path in sorted(folder.rglob(".*.part*")):
            name = path.relative_to(folder)
            if name.parts[0] in _NOT_OURS or not _UNFINISHED.search(path.name):
                continue
            with suppress(FileNotFoundError):
                if now - path.stat().st_mtime > AT_WORK:
                    yield Aged("leftovers", f"{folder.name}/{name}", (path,))


def _elsewhere(config: Config) -> list[Path]:
    """The lake's folder where it lies outside of the workspace."""
    store = store_of(config)
    if isinstance(store, LakeFolder) and not store.folder.is_relative_to(config.home):
        return [store.folder]
    return []


def _is_day(name: str) -> bool:
    try:
        date.fromisoformat(name)
    except ValueError:
        return False
    return True
