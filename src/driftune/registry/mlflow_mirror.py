"""MLflow: one registered model per domain; alias ``champion`` mirrors the ledger's pointer."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.errors import RegistryError
from driftune.io import creating
from driftune.redact import redact
from driftune.registry.ledger import BASE, Ledger
from driftune.registry.records import Decision, GateReport
from driftune.registry.rows import AdapterRecord

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

ALIAS = "champion"
log = logging.getLogger("driftune")


def model_name(key: str) -> str:
    """Name of a domain's registered model."""
    return f"driftune.{key}"


def version_page(config: Config, key: str, version: str) -> str | None:
    """Address of a model version's page on MLflow's server; None where none is configured.

    Credentials in ``registry.mlflow`` are left out.
    """
    parts = urlsplit(config.registry.mlflow or "")
    if parts.scheme not in ("http", "https"):
        return None
    server = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="")
    return f"{server.geturl().rstrip('/')}/#/models/{quote(model_name(key))}/versions/{version}"


def client(config: Config) -> Any:
    """An MLflow client for the configured store (SQLite in the workspace by default)."""
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    from mlflow.tracking import MlflowClient

    uri = config.registry.mlflow
    if uri is None:
        store = Workspace(config).mlflow
        if not store.exists():
            # Migrations that two processes run at once, or that a kill cuts off, leave a database
            # that MLflow never opens again.
            with creating(store) as part:
                MlflowClient(tracking_uri=f"sqlite:///{part}")
        uri = f"sqlite:///{store}"
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def register(
    config: Config,
    decision: Decision,
    *,
    folder: Path,
    sha256: str,
    version: int,
    gate: GateReport | None,
) -> str:
    """Log an adapter's files and the gate's metrics as a run and register them, in MLflow.

    Returns MLflow's version. A decision's files are registered once: a second call returns the
    first version.

    Args:
        decision: the one that brought the adapter.
        folder: the adapter's files, of this ``sha256``.
        version: the adapter's in the ledger.
        gate: the decision's gate report.

    Raises:
        RegistryError: when MLflow cannot be reached or refuses.
    """
    name, decision_id = model_name(decision.domain_key), decision.id
    tags = {
        "domain": decision.domain[:250],
        "day": decision.day,
        "backbone": decision.backbone,
        "data_version": decision.data_version,
        "sha256": sha256,
        "driftune_version": str(version),
        "decision": decision_id,
    }
    try:
        registry = client(config)
        for known in registry.search_model_versions(f"name = '{name}'"):
            held = (known.tags.get("decision"), known.tags.get("sha256"))
            if held == (decision_id, sha256):
                return str(known.version)
        run = registry.create_run(
            experiment_of(config, registry), run_name=decision_id, tags={"decision": decision_id}
        )
        for metric, value in _metrics(gate).items():
            registry.log_metric(run.info.run_id, metric, value)
        registry.log_artifacts(run.info.run_id, str(folder))
        registry.set_terminated(run.info.run_id)
        return new_version(registry, name, run.info.run_id, run.info.artifact_uri, tags)
    except faults() as error:
        raise RegistryError(f"{name}: MLflow refused the new version ({line_of(error)})") from None


def new_version(
    registry: "MlflowClient", name: str, run_id: str, source: str, tags: Mapping[str, str]
) -> str:
    """Make what a run has at ``source`` a version of a model, the first one too; returns it."""
    from mlflow.exceptions import MlflowException

    try:
        registry.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    made = registry.create_model_version(name, source=source, run_id=run_id, tags=dict(tags))
    return str(made.version)


def mirror(config: Config, ledger: Ledger, key: str) -> bool:
    """Set the domain's alias to what the ledger says; False when MLflow could not be told."""
    version = ledger.champion_version(key)
    record = ledger.adapter(key, version) if version != BASE else None
    try:
        registry = client(config)
        if record is not None and record.mlflow_version is not None:
            held = registry.get_model_version(model_name(key), record.mlflow_version)
            if held.tags.get("sha256") != record.sha256:
                registry.delete_registered_model_alias(model_name(key), ALIAS)
                log.warning("%s: MLflow's version %s holds other files", key, held.version)
                return False
            registry.set_registered_model_alias(model_name(key), ALIAS, held.version)
        else:
            registry.delete_registered_model_alias(model_name(key), ALIAS)
    except faults() as error:
        told = "%s: alias not mirrored (%s); driftune reconcile corrects it"
        log.warning(told, key, line_of(error))
        return False
    return True


def holds(config: Config, record: AdapterRecord) -> bool:
    """Whether MLflow has the version of an adapter (a row of the ledger) with its very files.

    Raises:
        RegistryError: when MLflow cannot be asked.
    """
    from mlflow.exceptions import MlflowException

    try:
        name = model_name(record.domain_key)
        held = client(config).get_model_version(name, record.mlflow_version)
    except faults() as error:
        if isinstance(error, MlflowException) and error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise RegistryError(f"registry.mlflow: cannot be read ({line_of(error)})") from None
    return bool(held.tags.get("sha256") == record.sha256)


def download(config: Config, record: AdapterRecord, folder: Path) -> None:
    """Write the files that MLflow keeps of an adapter (a row of the ledger) into a folder.

    Raises:
        RegistryError: when MLflow cannot be asked, or lacks the version or its files.
    """
    if record.mlflow_version is None or not holds(config, record):
        raise RegistryError("it lacks the version")
    try:
        registry = client(config)
        held = registry.get_model_version(model_name(record.domain_key), record.mlflow_version)
        files = registry.list_artifacts(held.run_id)
        for file in files:
            registry.download_artifacts(held.run_id, file.path, str(folder))
    except faults() as error:
        raise RegistryError(f"its files cannot be read: {line_of(error)}") from None
    if not files:
        raise RegistryError("it lacks the version's files")


def answers(config: Config) -> str:
    """Ask MLflow for anything at all; returns what is said of it, in a line.

    Raises:
        RegistryError: when it cannot be reached or read.
    """
    if config.registry.mlflow is None and not Workspace(config).mlflow.exists():
        return "MLflow: no store yet; the first promotion makes it"
    try:
        client(config).search_registered_models(max_results=1)
    except faults() as error:
        raise RegistryError(f"registry.mlflow: cannot be read ({line_of(error)})") from None
    return "MLflow: answers; there is no champion to mirror"


def mirrored(config: Config, ledger: Ledger) -> dict[str, tuple[str | None, str | None]]:
    """Per domain key the alias' version that the ledger wants and the one that MLflow has.

    Raises:
        RegistryError: when MLflow's store cannot be read.
    """
    from mlflow.exceptions import MlflowException

    try:
        registry = client(config)
    except faults() as error:
        raise RegistryError(f"registry.mlflow: cannot be read ({line_of(error)})") from None
    found = {}
    for key, row in ledger.champions().items():
        record = ledger.adapter(key, row.version) if row.version != BASE else None
        wanted = record.mlflow_version if record is not None else None
        try:
            held = registry.get_model_version_by_alias(model_name(key), ALIAS)
            has = str(held.version)
            if record is not None and held.tags.get("sha256") != record.sha256:
                has += " (other files)"
        except MlflowException:
            has = None
        found[key] = (wanted, has)
    return found


def experiment_of(config: Config, registry: Any) -> str:
    """The id of the experiment that ``registry.experiment`` names, which is made where it lacks."""
    from mlflow.exceptions import MlflowException

    name = config.registry.experiment
    found = registry.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    location = None
    if config.registry.mlflow is None:
        location = (config.home / "mlflow").as_uri()
    try:
        return str(registry.create_experiment(name, artifact_location=location))
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        return str(registry.get_experiment_by_name(name).experiment_id)


def faults() -> tuple[type[Exception], ...]:
    """What MLflow raises when its store or server fails."""
    from alembic.util import CommandError
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return MlflowException, SQLAlchemyError, CommandError, OSError


def line_of(error: Exception) -> str:
    """What an error of MLflow says, in a line without secrets."""
    return redact(" ".join(str(getattr(error, "orig", None) or error).split()))[:200]


def _metrics(gate: GateReport | None) -> dict[str, float]:
    if gate is None:
        return {}
    sides = (("champion", gate.champion), ("challenger", gate.challenger))
    return {
        f"{name}_{metric}": float(value)
        for name, side in sides
        if side is not None
        for metric, value in side.values().items()
    }
