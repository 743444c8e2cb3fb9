"""What promotions that lost, or were killed, have left in MLflow, and how versions go there."""

import logging
import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.errors import RegistryError
from driftune.registry.indexes import is_open
from driftune.registry.ledger import Ledger
from driftune.registry.mlflow_mirror import client, faults, holds, line_of, model_name
from driftune.registry.rows import AdapterRecord

if TYPE_CHECKING:
    from mlflow.store.entities import PagedList

_PAGE = 1000
Held = TypeVar("Held")
log = logging.getLogger("driftune")


class Left(NamedTuple):
    """A version of a registered model, or with None a run alone, that the ledger does not name.

    ``since``: when it was made, in seconds since 1970.
    """

    name: str
    version: str | None
    run: str | None
    since: float

    def __str__(self) -> str:
        if self.version is None:
            return f"MLflow's run {self.run}, never registered"
        return f"MLflow's version {self.version} of {self.name}, never promoted"


def left_in_mlflow(config: Config, ledger: Ledger) -> Iterator[Left]:
    """What MLflow's store holds that the ledger does not name.

    That of decisions which are still open is none of it: their promotion takes it up. Neither is
    anything on a server (``registry.mlflow``): other workspaces may have it there.

    Raises:
        RegistryError: when the store cannot be read.
    """
    if config.registry.mlflow is not None or not Workspace(config).mlflow.exists():
        return
    try:
        registry = client(config)
        versions = list(
            _paged(lambda at: registry.search_model_versions(max_results=_PAGE, page_token=at))
        )
        experiment = registry.get_experiment_by_name(config.registry.experiment)
        ids = [] if experiment is None else [experiment.experiment_id]
        runs = list(
            _paged(lambda at: registry.search_runs(ids, max_results=_PAGE, page_token=at))
            if ids
            else ()
        )
    except faults() as error:
        raise RegistryError(f"registry.mlflow: cannot be read ({line_of(error)})") from None
    named = {
        (model_name(key), row.mlflow_version)
        for key in ledger.champions()
        for row in ledger.versions(key)
    }
    waiting = {row.id for row in ledger.decisions(is_open())}
    for held in versions:
        free = held.tags.get("decision") not in waiting
        if free and (held.name, str(held.version)) not in named:
            yield Left(held.name, str(held.version), held.run_id, held.creation_timestamp / 1000)
    registered = {held.run_id for held in versions}
    for run in runs:
        info = run.info
        if info.run_id not in registered and run.data.tags.get("decision") not in waiting:
            yield Left("", None, info.run_id, info.start_time / 1000)


def drop_from_mlflow(config: Config, left: Left) -> None:
    """Delete it, with its run and files.

    Raises:
        RegistryError: when MLflow cannot be asked or refuses.
    """
    try:
        registry = client(config)
        if left.version is not None:
            registry.delete_model_version(left.name, left.version)
        if left.run:
            registry.delete_run(left.run)
            if config.registry.mlflow is None:
                # Of its own store, MLflow only marks a run as deleted.
                shutil.rmtree(config.home / "mlflow" / left.run, ignore_errors=True)
    except faults() as error:
        raise RegistryError(f"MLflow does not delete {left} ({line_of(error)})") from None


def forget(config: Config, record: AdapterRecord) -> None:
    """Delete the version of an adapter (a row of the ledger) from MLflow, with its run and files.

    A version that MLflow no longer has, or whose files are others, is left alone.

    Raises:
        RegistryError: when MLflow cannot be asked or refuses.
    """
    if record.mlflow_version is not None and holds(config, record):
        _drop_version(config, model_name(record.domain_key), record.mlflow_version)


def withdraw(config: Config, ledger: Ledger, key: str, version: str) -> None:
    """Take a version (MLflow's) back whose promotion failed; one that the ledger names stays.

    A fault of MLflow is told in the log: the promotion's own error counts.
    """
    if any(row.mlflow_version == version for row in ledger.versions(key)):
        return
    try:
        _drop_version(config, model_name(key), version)
    except RegistryError as error:
        log.warning("%s: a promotion that failed stays registered; %s", key, error)


def _drop_version(config: Config, name: str, version: str) -> None:
    try:
        held = client(config).get_model_version(name, version)
    except faults() as error:
        raise RegistryError(f"{name}: MLflow deletes no version ({line_of(error)})") from None
    drop_from_mlflow(config, Left(name, version, held.run_id, held.creation_timestamp / 1000))


def _paged(search: "Callable[[str | None], PagedList[Held]]") -> "Iterator[Held]":
    """Everything that a search of MLflow finds; it is given where each page begins."""
    token: str | None = None
    while True:
        page = search(token)
        yield from page
        token = page.token
        if not token:
            return
