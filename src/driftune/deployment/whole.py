"""Whether every file of a workspace holds what was written to it, and no day is lost."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

from driftune.checksums import drop, is_damaged
from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.errors import DriftuneError, LakeError
from driftune.intake.columns import read_columns
from driftune.intake.lost import lost_days
from driftune.io import read_json
from driftune.lake.store import has_checksum
from driftune.lake.table import Lake
from driftune.models.adapters import AdapterFileError, load_adapter
from driftune.quality.day_profile import read_profile
from driftune.registry.ledger import Ledger
from driftune.registry.rows import Finding


def lost(config: Config, ledger: Ledger) -> list[Finding]:
    """The days that the ledger holds and the lake does not, a line each."""
    try:
        return [
            {"what": f"{why}; bring it in again: driftune run --day {day}", "ok": False}
            for day, why in lost_days(config, ledger)
        ]
    except LakeError:
        # The check of the lake says so.
        return []


def whole_files(config: Config, *, mend: bool = False) -> list[Finding]:
    """Verify every checksum; ``mend`` drops damaged files that the next run makes anew."""
    try:
        lake = Lake.of(config)
        problems = [*_lake(lake), *_caches(config, mend), *_records(config, lake.days)]
    except LakeError as error:
        return [{"what": str(error), "ok": False}]
    problems += _adapters(config)
    found: list[Finding] = [{"what": what, "ok": False} for what in problems]
    old = sum(not has_checksum(name) for files in lake.files.values() for name in files)
    note = f"; {old} files of the lake are of an earlier release and have none" if old else ""
    if not found:
        found.append({"what": f"checksums: every file is as it was written{note}", "ok": True})
    return found


def _lake(lake: Lake) -> Iterator[str]:
    for day in lake.days:
        if problem := lake.damage(day):
            yield f"{problem}; bring the day in again: driftune run --day {day}"


def _caches(config: Config, mend: bool) -> Iterator[str]:
    """Damaged caches; with ``mend`` they are dropped, and are no problem any more."""
    workspace = Workspace(config)
    for folder in (workspace.features, workspace.profiles):
        for path in sorted(folder.glob("*.parquet")):
            if not is_damaged(path):
                continue
            if mend:
                drop(path)
            else:
                yield f"{path}: is damaged; the next run that needs it makes it anew, or --mend"
    drift = workspace.home / "drift"
    for path in sorted(drift.glob("*/windows.parquet")):
        if is_damaged(path):
            yield f"{path}: is damaged; driftune run --day {path.parent.name} draws it anew"


def _records(config: Config, days: list[date]) -> Iterator[str]:
    workspace = Workspace(config)
    for day in days:
        for read in (_profile, read_columns):
            try:
                read(config, day)
            except DriftuneError as error:
                yield str(error)
        for path in (workspace.quality(day), workspace.released(day)):
            if path.exists() and not _is_json(path):
                yield f"{path}: is damaged; take the day in again: driftune run --day {day}"


def _profile(config: Config, day: date) -> None:
    read_profile(Workspace(config), day)


def _is_json(path: Path) -> bool:
    try:
        read_json(path)
    except ValueError:
        return False
    return True


def _adapters(config: Config) -> Iterator[str]:
    """Damaged files of adapter versions."""
    for card in sorted(Workspace(config).adapters.glob("*/*/card.json")):
        try:
            load_adapter(card.parent, backbone=None)
        except AdapterFileError as error:
            yield f"{error}; a champion comes back from MLflow by --mend, others from a backup"
