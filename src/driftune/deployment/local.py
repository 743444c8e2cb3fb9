"""A Prefect server, the work pools of prefect.yaml and their workers, on the loopback address."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
import yaml

from driftune.deployment.loopback import HOST, answers, beside_proxies
from driftune.deployment.processes import (
    Process,
    is_running,
    mark,
    marked,
    prefect,
    run_once,
    stop_tree,
    wait_until,
)
from driftune.errors import ConfigError, DriftuneError
from driftune.io import read_json, write_json

PORT = 4200
# A variable that all processes of one command have, with their own descendants.
MARK = "DRIFTUNE_LOCAL"
# Seconds that a server or a worker may take to be there.
STARTUP = 180


@dataclass(frozen=True)
class Local:
    """What was brought up."""

    url: str
    deployments: tuple[str, ...]
    processes: tuple[Process, ...]

    @property
    def api(self) -> str:
        """What ``PREFECT_API_URL`` must be to reach it."""
        return f"{self.url}/api"

    def wait(self) -> None:
        """Return never while all of it runs; Ctrl-C interrupts.

        Raises:
            DriftuneError: when server or worker has ended by itself.
        """
        wait_until(lambda: False, self.processes, float("inf"), "the end")


@contextmanager
def deployed(
    project: Path, home: Path, port: int, tell: Callable[[str], None] = print
) -> Iterator[Local]:
    """Have the project's deployments served while the context lasts; then end every process.

    Runs, schedules and events are kept under ``home`` for the next time.

    Args:
        project: folder of prefect.yaml.
        home: folder of the server's database and of the logs.
        port: of the server; 0 picks a free one.
        tell: gets a line per step.

    Raises:
        ConfigError: when there is no prefect.yaml or it is no list of deployments.
        DriftuneError: when it is already there, the port is taken, or a part does not start.
    """
    deployments, pools = read_project(project / "prefect.yaml")
    _end_left(home)
    port = _free_port(port)
    url = f"http://{HOST}:{port}"
    env = _environment(home, url)
    with ExitStack() as stack:
        processes: list[Process] = []

        def start(name: str, *arguments: str) -> Process:
            process = Process(name, prefect(arguments), home / "logs" / f"{name}.log", env)
            # In reverse order at the end: workers go before the server that they talk to.
            stack.callback(process.stop)
            processes.append(process)
            _remember(home, url, processes)
            return process

        stack.callback((home / "running.json").unlink, missing_ok=True)
        tell(f"server on {url} …")
        start("server", "server", "start", "--host", HOST, "--port", str(port))
        wait_until(lambda: answers(f"{url}/api/health"), processes, STARTUP, "the server")
        for pool in pools:
            run_once(
                ("work-pool", "create", pool, "--type", "process", "--overwrite"), project, env
            )
        tell(f"deployments {', '.join(deployments)} …")
        run_once(("--no-prompt", "deploy", "--all"), project, env)
        for pool in pools:
            tell(f"worker for the pool '{pool}' …")
            worker = start(f"worker-{pool}", "worker", "start", "--pool", pool, "--type", "process")
            wait_until(partial(worker.says, "started!"), processes, STARTUP, "the worker")
        yield Local(url, tuple(deployments), tuple(processes))


def read_project(path: Path) -> tuple[list[str], list[str]]:
    """Names of the deployments, and of the work pools that they use, each once.

    Raises:
        ConfigError: when the file is missing or has no deployments.
    """
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: cannot be read ({str(error).splitlines()[0]}); run this in the project's "
            "folder, beside its prefect.yaml"
        ) from None
    listed = found.get("deployments") if isinstance(found, dict) else None
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise ConfigError(f"{path}: deployments is no list; list the flows to deploy there")
    pools = [(entry.get("work_pool") or {}).get("name") for entry in listed]
    names = [entry.get("name") for entry in listed]
    if not names or not all(isinstance(name, str) for name in [*names, *pools]):
        raise ConfigError(f"{path}: a deployment lacks name or work_pool.name; set both")
    return names, list(dict.fromkeys(str(pool) for pool in pools))


def _environment(home: Path, url: str) -> dict[str, str]:
    # What points to another server, or signs in there, would lead the processes away.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return beside_proxies(kept) | {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"{url}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        MARK: mark(f"{home.resolve()}"),
    }


def _end_left(home: Path) -> None:
    """End what a killed command has left running.

    Its record names what it has started, but for the last one where it was killed in between, and
    what a worker has started where that is dead as well: those have its mark.
    """
    record = home / "running.json"
    with suppress(OSError, ValueError, KeyError, TypeError):
        left = read_json(record)
        if is_running(*left["by"]):
            raise DriftuneError(f"already deployed on {left['url']}; Ctrl-C there ends it")
        for pid, started in left["processes"]:
            if is_running(pid, started):
                stop_tree(pid)
    for process, by in marked(MARK, f"{home.resolve()}"):
        if not is_running(*by):
            stop_tree(process)
    record.unlink(missing_ok=True)


def _remember(home: Path, url: str, processes: list[Process]) -> None:
    me = psutil.Process()
    write_json(
        home / "running.json",
        {
            "url": url,
            "by": [me.pid, me.create_time()],
            "processes": [list(entry.identity) for entry in processes],
        },
    )


def _free_port(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise DriftuneError(
                f"--port {port}: {HOST} has no such port free ({reason}); choose another one, "
                "or 0 for a free one"
            ) from None
        return int(probe.getsockname()[1])
