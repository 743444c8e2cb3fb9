"""Files scored on a Ray cluster: one scorer for each worker, batches read and written here."""

import logging
import os
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeAlias, cast

import pyarrow as pa

from driftune.config import Config
from driftune.config.ray_cluster import (
    INSTALL,
    require_answer,
    worker_environment,
    workers_at_once,
)
from driftune.errors import ConfigError, DriftuneError
from driftune.serving.files import Batch, Scoring, score_batch
from driftune.serving.formats import read_batches
from driftune.serving.manifest import NAME
from driftune.serving.parts import FOLDER
from driftune.serving.places import is_url
from driftune.serving.scorer import Scorer

if TYPE_CHECKING:
    from ray import ObjectRef
    from ray.actor import ActorHandle

Given: TypeAlias = str | Mapping[str, bytes]
"""A bundle for the workers: its address, or its files by their paths."""

# Batches that wait at a worker while it computes one, so that it need not wait itself.
_AHEAD = 2


class Worker:
    """A process of the cluster with a scorer of its own."""

    def __init__(self, held: "list[ObjectRef[Given]]", shadow: bool) -> None:
        """Open the bundle that Ray holds; its files are written to a folder that ends with the
        process."""
        import ray
        import torch

        from driftune.no_telemetry import silence

        silence()
        # As the threads of a process without Ray have it: by it a row has the same bits.
        torch.set_num_threads(1)
        bundle: Given = ray.get(held[0])
        self._folder = TemporaryDirectory(prefix="driftune-worker-")
        if not isinstance(bundle, str):
            for name, data in bundle.items():
                path = Path(self._folder.name) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            bundle = self._folder.name
        self._scorer = Scorer.open(bundle, shadow=shadow)

    def score(self, table: pa.Table, domain: str | None) -> Batch:
        """See ``score_batch``."""
        return score_batch(self._scorer, table, domain)


def on_ray(config: Config, bundle: str, *, shadow: bool = False) -> Scoring:
    """Scores batches on the cluster that ``runner`` names, as many at once as it takes workers of
    ``runner.needs``; the scores and their order are those of a process without Ray.

    ``bundle``: folder or address of the one that the scorer has; a folder's files are sent along.
    """

    def scoring(
        scorer: Scorer, source: Path, domain: str | None
    ) -> AbstractContextManager[Iterator[Batch]]:
        return _scored(config, bundle if is_url(bundle) else _files(bundle), source, domain, shadow)

    return scoring


@contextmanager
def _scored(
    config: Config, bundle: Given, source: Path, domain: str | None, shadow: bool
) -> Iterator[Iterator[Batch]]:
    try:
        import ray
    except ImportError:
        raise ConfigError(f"{config.source_file}: runner.kind = 'ray': {INSTALL}") from None
    mine = not ray.is_initialized()
    if mine:
        address = config.runner.address or os.environ.get("RAY_ADDRESS")
        if address:
            require_answer(address)
        ray.init(
            address=address,
            runtime_env={"env_vars": worker_environment()},
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    workers: list[ActorHandle[Worker]] = []
    try:
        needs = config.runner.needs
        # Scores are pure: what a lost worker had is computed again.
        kind = ray.remote(max_restarts=-1, max_task_retries=-1)(Worker)
        held = ray.put(bundle)
        for _ in range(workers_at_once(needs)):
            begun = kind.options(**needs.options()).remote([held], shadow)
            workers.append(cast("ActorHandle[Worker]", begun))
        yield _in_order(workers, source, domain)
    finally:
        for worker in workers:
            ray.kill(worker)
        if mine:
            ray.shutdown()


def _in_order(
    workers: "list[ActorHandle[Worker]]", source: Path, domain: str | None
) -> Iterator[Batch]:
    """The scored batches in the order of the rows; few are ahead of the one that is taken."""
    ahead: deque[ObjectRef[Batch]] = deque()
    for number, table in enumerate(read_batches(source)):
        ahead.append(workers[number % len(workers)].score.remote(table, domain))
        if len(ahead) >= _AHEAD * len(workers):
            yield _result(ahead.popleft())
    while ahead:
        yield _result(ahead.popleft())


def _result(reference: "ObjectRef[Batch]") -> Batch:
    """A worker's batch.

    Raises:
        DriftuneError: the worker's own, or that it could not begin, in one line.
    """
    import ray

    try:
        found: Batch = ray.get(reference)
        return found
    except ray.exceptions.RayTaskError as error:
        cause = error.cause
        if isinstance(cause, DriftuneError):
            raise cause from None
        raise
    except ray.exceptions.RayActorError as error:
        said = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise ConfigError(
            f"runner.kind = 'ray': a worker could not score ({said[-1][:200] if said else error})"
        ) from None


def _files(bundle: str) -> dict[str, bytes]:
    """The files of a bundle in a folder, by their paths in it."""
    folder = Path(bundle)
    paths = [folder / NAME, *(path for path in (folder / FOLDER).rglob("*") if path.is_file())]
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(paths)}
