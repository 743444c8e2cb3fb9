"""A day's domains at once: each a task, on threads, on processes or on a Ray cluster."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

from prefect import State, Task
from prefect.futures import PrefectFuture
from prefect.settings import PREFECT_API_URL
from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner, ThreadPoolTaskRunner

from driftune.config import Config
from driftune.config.ray_cluster import (
    INSTALL,
    require_answer,
    worker_environment,
    workers_at_once,
)
from driftune.deployment.own_server import is_own
from driftune.errors import ConfigError, DriftuneError
from driftune.no_telemetry import silence
from driftune.observe.context import about, current
from driftune.training.threads import one_thread

Setting = Callable[[str], AbstractContextManager[Any]]


class FanOut:
    """Runs a task for each of many domains; ``fan_out`` makes it.

    ``long`` runs those that take seconds a domain, where that is another runner. ``workers``: how
    many of these run at once, each in a process of its own; 1: they share this process.
    """

    def __init__(
        self,
        config: Config,
        runner: TaskRunner[Any],
        setting: Setting = nullcontext,
        long: TaskRunner[Any] | None = None,
        workers: Callable[[], int] = lambda: 1,
    ) -> None:
        self.config, self.runner, self.setting = config, runner, setting
        self.workers = workers
        self.long = long or runner

    def each(
        self,
        task: Task[Any, Any],
        given: Iterable[tuple[str, dict[str, Any]]],
        *,
        long: bool = False,
    ) -> list[State[Any]]:
        """Call ``task(config, …, told)`` with what is given for each domain (its name).

        ``told`` is what the log lines of its run are about. Waits for all; returns their final
        states, in order. One that fails stops no other.

        Raises:
            DriftuneError: when a process that works on some was killed.
        """
        given, futures = list(given), []
        # Worth a worker's start only beside others.
        runner = self.long if long and len(given) > 1 else self.runner
        with one_thread():
            for domain, arguments in given:
                with self.setting(domain), about(domain=domain):
                    parameters = {"config": self.config, **arguments, "told": dict(current())}
                    futures.append(runner.submit(task, parameters))
            for future in futures:
                _wait(future)
        return [future.state for future in futures]


def _wait(future: PrefectFuture[Any]) -> None:
    try:
        future.wait()
    except BrokenProcessPool:
        raise DriftuneError(
            "a worker process was killed, perhaps for want of memory, and its domains with it; run "
            "it again, with fewer at once (runner.processes) where memory is short"
        ) from None


@contextmanager
def fan_out(config: Config) -> Iterator[FanOut]:
    """The runner that ``params.yaml`` names, for as long as a flow takes.

    Raises:
        ConfigError: when Ray is not installed or does not answer, or workers would have no Prefect
            server to report to.
    """
    if config.runner.kind == "ray":
        runner, setting = _ray(config)
        with runner:
            yield FanOut(
                config, runner, setting, workers=partial(workers_at_once, config.runner.needs)
            )
        return
    threads: TaskRunner[Any]
    with ThreadPoolTaskRunner(max_workers=config.runner.threads) as threads:
        if config.runner.kind == "threads":
            yield FanOut(config, threads)
            return
        _see_that_there_is_a_server("processes")
        workers = config.runner.processes or os.cpu_count() or 1
        # They start when they are needed.
        with ProcessPoolTaskRunner(max_workers=workers, initializer=_begin) as processes:
            yield FanOut(config, threads, long=processes, workers=lambda: workers)


def _begin() -> None:
    """What the flow's process has done for itself: its workers are new ones."""
    import torch

    silence()
    torch.set_num_threads(1)


def _ray(config: Config) -> tuple[TaskRunner[Any], Setting]:
    try:
        import ray
        from prefect_ray import RayTaskRunner
        from prefect_ray.context import remote_options
    except ImportError:
        raise ConfigError(f"{config.source_file}: runner.kind = 'ray': {INSTALL}") from None
    _see_that_there_is_a_server("ray")
    address = config.runner.address or os.environ.get("RAY_ADDRESS")
    if address and not ray.is_initialized():
        require_answer(address)
    settings = {
        "runtime_env": {"env_vars": worker_environment()},
        "log_to_driver": False,
        "logging_level": "ERROR",
    }

    def setting(domain: str) -> AbstractContextManager[Any]:
        return remote_options(**config.runner.options(domain))

    return RayTaskRunner(address=address, init_kwargs=settings), setting


def _see_that_there_is_a_server(kind: str) -> None:
    if is_own(PREFECT_API_URL.value()):
        raise ConfigError(
            f"runner.kind = '{kind}': PREFECT_API_URL is not set, and every worker would start a "
            "Prefect server of its own; run prefect server start and set it"
        )
