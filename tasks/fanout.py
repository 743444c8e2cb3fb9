"""A day's domains at once: each a task, on threads of this process or on a Ray cluster."""

import os
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any
from urllib.parse import urlsplit

from prefect import State, Task
from prefect.settings import PREFECT_API_URL
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from driftune.config import Config
from driftune.errors import ConfigError
from driftune.observe.context import about
from driftune.telemetry import QUIET
from driftune.training.threads import one_thread

Setting = Callable[[str], AbstractContextManager[Any]]
# Ray itself asks an address at which nobody answers again and again, for minutes.
PATIENCE_SECONDS = 10


class FanOut:
    """Runs a task for each of many domains; ``fan_out`` makes it."""

    def __init__(self, config: Config, runner: TaskRunner[Any], setting: Setting) -> None:
        self.config, self.runner, self.setting = config, runner, setting

    def each(
        self, task: Task[Any, Any], given: Iterable[tuple[str, dict[str, Any]]]
    ) -> list[State[Any]]:
        """Call ``task(config, …)`` with the arguments that are given for each domain (its name).

        Waits for all; returns their final states, in order. One that fails stops no other.
        """
        futures = []
        with one_thread():
            for domain, arguments in given:
                with self.setting(domain), about(domain=domain):
                    parameters = {"config": self.config, **arguments}
                    futures.append(self.runner.submit(task, parameters))
            for future in futures:
                future.wait()
        return [future.state for future in futures]


@contextmanager
def fan_out(config: Config) -> Iterator[FanOut]:
    """The runner that ``params.yaml`` names, for as long as a flow takes.

    Raises:
        ConfigError: when Ray is not installed or does not answer, or its workers would have no
            Prefect server to report to.
    """
    runner, setting = _ray(config) if config.runner.kind == "ray" else _threads(config)
    with runner:
        yield FanOut(config, runner, setting)


def _threads(config: Config) -> tuple[TaskRunner[Any], Setting]:
    return ThreadPoolTaskRunner(max_workers=config.runner.threads), nullcontext


def _ray(config: Config) -> tuple[TaskRunner[Any], Setting]:
    try:
        import ray
        from prefect_ray import RayTaskRunner
        from prefect_ray.context import remote_options
    except ImportError:
        raise ConfigError(
            f"{config.source_file}: runner.kind = 'ray': Ray is not installed; run pip install "
            "-c constraints.txt -e '.[ray]'"
        ) from None
    if PREFECT_API_URL.value() is None:
        raise ConfigError(
            "runner.kind = 'ray': PREFECT_API_URL is not set, and every Ray worker would start a "
            "Prefect server of its own; run prefect server start and set it"
        )
    address = config.runner.address or os.environ.get("RAY_ADDRESS")
    if address and not ray.is_initialized():
        _see_that_it_answers(address)
    # Workers import the library, not the flows: nobody else would keep their telemetry off.
    quiet = {name: os.environ[name] for name in QUIET if name in os.environ}
    settings = {
        "runtime_env": {"env_vars": quiet},
        "log_to_driver": False,
        "logging_level": "ERROR",
    }

    def setting(domain: str) -> AbstractContextManager[Any]:
        return remote_options(**config.runner.options(domain))

    return RayTaskRunner(address=address, init_kwargs=settings), setting


def _see_that_it_answers(address: str) -> None:
    parts = urlsplit(address if "://" in address else f"ray://{address}")
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.hostname is None or port is None:
        # auto, local: Ray's own words.
        return
    try:
        socket.create_connection((parts.hostname, port), PATIENCE_SECONDS).close()
    except OSError as error:
        raise ConfigError(
            f"runner.address: no Ray cluster answers at {address} ({error}); start one with ray "
            "start --head, or name another"
        ) from None
