"""Recover: files of a champion that the workspace has lost, brought back from MLflow."""

import tempfile
from pathlib import Path

from driftune.config import Config
from driftune.errors import DriftuneError, RegistryError
from driftune.models.adapters import AdapterFileError, load_adapter
from driftune.registry.champions import adapter_folder
from driftune.registry.ledger import BASE, Ledger
from driftune.registry.mlflow_mirror import download
from driftune.registry.rows import AdapterRecord, Finding


def recover_all(config: Config, ledger: Ledger) -> list[Finding]:
    """Bring back the files of every champion that lacks them; a finding (``what``, ``ok``) each."""
    findings: list[Finding] = []
    for key, pointer in sorted(ledger.champions().items()):
        try:
            problem = recover(config, ledger, key)
        except DriftuneError as error:
            findings.append({"what": str(error), "ok": False})
            continue
        if problem is not None:
            what = f"{pointer.domain}: version {pointer.version} is back from MLflow ({problem})"
            findings.append({"what": what, "ok": True})
    return findings


def recover(config: Config, ledger: Ledger, key: str) -> str | None:
    """Bring the files of the domain's champion back where they are missing or damaged.

    Returns what was wrong with them; None when nothing was.

    Raises:
        RegistryError: when MLflow cannot be asked, or lacks them.
    """
    version = ledger.champion_version(key)
    record = ledger.adapter(key, version) if version != BASE else None
    if record is None:
        return None
    folder = adapter_folder(config, key, version, record.sha256)
    try:
        load_adapter(folder, backbone=record.backbone)
        return None
    except AdapterFileError as error:
        problem = str(error)
    try:
        _bring(config, record, folder)
    except (RegistryError, AdapterFileError, OSError) as error:
        raise RegistryError(
            f"{record.domain}: version {version} does not serve: {problem}; it cannot be brought "
            f"back from MLflow ({error}); put a backup back, or driftune rollback {key}"
        ) from None
    return problem


def _bring(config: Config, record: AdapterRecord, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as made:
        part = Path(made) / "new"
        part.mkdir()
        download(config, record, part)
        _, card = load_adapter(part, backbone=record.backbone)
        if card["sha256"] != record.sha256:
            raise RegistryError("what it has is another adapter")
        if folder.exists():
            folder.rename(Path(made) / "damaged")
        part.rename(folder)
