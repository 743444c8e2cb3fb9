"""Fine-tunings past their time: challengers that were never promoted, champions of long ago."""

from collections.abc import Iterator

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.registry.champions import adapter_folder
from driftune.registry.decision_queries import decisions_by_id
from driftune.registry.indexes import OPEN
from driftune.registry.ledger import Ledger
from driftune.registry.mlflow_left import left_in_mlflow
from driftune.registry.rollback import serviceable
from driftune.retention.aged_lake import AT_WORK, DAY
from driftune.retention.found import Aged, Finding, Kept


def aged_challengers(config: Config, ledger: Ledger, now: float) -> Iterator[Finding]:
    """Challengers whose decision ended long ago, or that no decision names."""
    keep, folder = config.retention.challengers, Workspace(config).challengers
    folders = sorted(each for each in folder.glob("*") if each.is_dir())
    held = decisions_by_id(ledger, [path.name for path in folders])
    for path in folders:
        if path.suffix == ".part":
            # A leftover, see ``aged_days.leftovers``.
            continue
        row = held.get(path.name)
        if row is not None and row.state in OPEN:
            yield Kept("challengers", "those of decisions that are open")
        elif keep is None:
            yield Kept("challengers", "retention.challengers is null: all")
        elif now - (path.stat().st_mtime if row is None else row.updated_at) <= keep * DAY:
            yield Kept("challengers", f"those of decisions that ended within {keep} days")
        else:
            ended = "of no decision" if row is None else row.state
            yield Aged("challengers", f"{path.name}: {ended}", (path,))


def aged_pooled(config: Config, now: float) -> Iterator[Finding]:
    """Pooled starts that nothing was trained from for long; what asks for one makes it anew."""
    keep, folder = config.retention.caches, Workspace(config).pooled
    for path in sorted(each for each in folder.glob("*") if each.is_dir()):
        if path.suffix == ".part":
            continue
        if keep is None:
            yield Kept("caches", "retention.caches is null: all")
        elif now - path.stat().st_mtime > keep * DAY:
            lock = path.with_name(f".{path.name}.lock")
            yield Aged("caches", f"{path.name[:10]}: a pooled start", (path, lock))
        else:
            yield Kept("caches", f"pooled starts of the last {keep} days")


def aged_adapters(config: Config, ledger: Ledger, now: float) -> Iterator[Finding]:
    """Versions that no rollback leads back to, and folders that the ledger does not name."""
    keep, home = config.retention.adapters, Workspace(config).adapters
    named = set()
    for key in sorted(each.name for each in home.glob("*") if each.is_dir()):
        serve = set(serviceable(ledger, key))
        for record in ledger.versions(key):
            folder = adapter_folder(config, key, record.version, record.sha256)
            named.add(folder)
            if not folder.exists():
                continue
            if record.version in serve:
                yield Kept("adapters", "champions, and the versions that a rollback leads back to")
            elif keep is None:
                yield Kept("adapters", "retention.adapters is null: all that were champions")
            elif now - record.created_at > keep * DAY:
                what = f"{record.domain}: version {record.version}"
                yield Aged("adapters", what, (folder,), key=key, version=record.version)
        for folder in sorted((home / key).glob("*")):
            if folder not in named and now - folder.stat().st_mtime > AT_WORK:
                yield Aged("leftovers", f"{key}: {folder.name}, never promoted", (folder,))


def aged_registered(config: Config, ledger: Ledger, now: float) -> Iterator[Finding]:
    """Versions and runs in MLflow's own store that no promotion came to record.

    Raises:
        RegistryError: when the store cannot be read.
    """
    for left in left_in_mlflow(config, ledger):
        if now - left.since > AT_WORK:
            files = config.home / "mlflow" / (left.run or "none")
            yield Aged("leftovers", f"{left}", (files,), left=left)
