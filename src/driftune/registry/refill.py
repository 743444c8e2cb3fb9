"""Refill: a champion's version that MLflow has lost, registered again from the workspace."""

from driftune.config import Config
from driftune.errors import RegistryError
from driftune.models.adapters import AdapterFileError, load_adapter
from driftune.registry.champions import adapter_folder
from driftune.registry.ledger import BASE, Ledger
from driftune.registry.mlflow_mirror import holds, register
from driftune.registry.schema import adapters


def refill(config: Config, ledger: Ledger, key: str) -> str | None:
    """Register the domain's champion anew where MLflow lacks it or holds other files instead.

    Returns the version that MLflow gave it, which the ledger then names too; None when there is
    nothing to register.

    Raises:
        RegistryError: when MLflow cannot be asked or refuses, or the adapter's files are missing
            or damaged.
    """
    version = ledger.champion_version(key)
    record = ledger.adapter(key, version) if version != BASE else None
    if record is None or record.mlflow_version is None or holds(config, record):
        return None
    folder = adapter_folder(config, key, version, record.sha256)
    try:
        load_adapter(folder, backbone=record.backbone)
    except AdapterFileError as error:
        raise RegistryError(
            f"{record.domain}: MLflow lacks version {version}, whose files cannot be registered "
            f"again: {error}"
        ) from None
    decision = ledger.decision(record.decision_id)
    registered = register(
        config,
        decision,
        folder=folder,
        sha256=record.sha256,
        version=version,
        gate=decision.gate,
    )
    with ledger.write() as connection:
        connection.execute(
            adapters.update()
            .where(adapters.c.domain_key == key, adapters.c.version == version)
            .values(mlflow_version=registered)
        )
    return registered
