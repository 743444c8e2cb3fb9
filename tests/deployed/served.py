"""Server and workers as processes of their own, on free loopback ports and with their own home."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import TaskRunFilter
from prefect.client.schemas.objects import FlowRun, TaskRun

POOLS = ("default", "gpu")
Value = TypeVar("Value")


class Platform:
    """A Prefect server and a worker per pool; nothing of the user's own Prefect takes part."""

    def __init__(self, home: Path, project: Path, source: Path, **env: str) -> None:
        self.home = home
        self.project = project
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/api"
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "DRIFTUNE__"))}
        self.env = {
            **kept,
            "OMP_NUM_THREADS": "1",
            "PREFECT_API_URL": self.url,
            "PREFECT_HOME": str(home),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            # Runs come from the tests alone.
            "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
            "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "2",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "PYTHONPATH": os.pathsep.join([str(source), str(project)]),
            **env,
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> "Platform":
        try:
            self.start_server()
            for pool in POOLS:
                self._start(pool, "worker", "start", "--pool", pool, "--type", "process")
            for pool in POOLS:
                address = f"{self.url}/work_pools/{pool}"
                self.until(lambda at=address: httpx.get(at).is_success, f"pool {pool}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for name in reversed([*self.processes]):
            self.stop(name)

    def start_server(self) -> None:
        """Start the server, again with what it knew before, and wait until it answers."""
        self._start("server", "server", "start", "--host", "127.0.0.1", "--port", str(self.port))

        def answers() -> bool:
            try:
                return httpx.get(f"{self.url}/health").is_success
            except httpx.TransportError:
                return False

        self.until(answers, "the server")

    def stop(self, name: str) -> None:
        """End a process and its children: asked first, then made to."""
        process = self.processes.pop(name)
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, number)
                process.wait(timeout=20)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue

    def deploy(self) -> None:
        """``prefect deploy --all`` in the project's folder."""
        self.call("-m", "prefect", "--no-prompt", "deploy", "--all")

    def call(self, *arguments: str) -> str:
        """Run Python in the project's folder, as its processes run; returns what it says."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.project,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout

    def run(self, name: str, **parameters: Any) -> FlowRun:
        """Let a worker run a deployment, and wait until it has ended well."""
        started = self.start(name, **parameters)
        with SyncPrefectClient(self.url) as client:

            def ended() -> FlowRun | None:
                found = client.read_flow_run(started.id)
                return found if found.state and found.state.is_final() else None

            run = self.until(ended, f"{name} {parameters}")
        assert run.state and run.state.is_completed(), run.state
        return run

    def start(self, name: str, **parameters: Any) -> FlowRun:
        """Create a run of a deployment."""
        with SyncPrefectClient(self.url) as client:
            deployment = client.read_deployment_by_name(f"{name}/{name}")
            return client.create_flow_run_from_deployment(deployment.id, parameters=parameters)

    def runs(self, name: str) -> list[FlowRun]:
        """The runs of a flow."""
        with SyncPrefectClient(self.url) as client:
            deployment = client.read_deployment_by_name(f"{name}/{name}")
            return [run for run in client.read_flow_runs() if run.flow_id == deployment.flow_id]

    def kill_runs(self, pool: str) -> None:
        """Kill -9 what a pool's worker runs; the worker goes on."""
        for each in psutil.Process(self.processes[pool].pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                each.kill()

    def task_runs(self, name: str) -> list[TaskRun]:
        """The task runs of a name."""
        wanted = TaskRunFilter.model_validate({"name": {"any_": [name]}})
        with SyncPrefectClient(self.url) as client:
            return client.read_task_runs(task_run_filter=wanted)

    def until(self, look: Callable[[], Value | None], what: str, seconds: float = 300) -> Value:
        """Wait for something to be there; a process that has ended meanwhile is told at once."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = look()
            if found:
                return found
            dead = [name for name, each in self.processes.items() if each.poll() is not None]
            assert not dead, f"{dead} ended while {what} was waited for: {self._logs()}"
            time.sleep(0.3)
        raise AssertionError(f"no {what} within {seconds:.0f} s: {self._logs()}")

    def _start(self, name: str, *arguments: str) -> None:
        with (self.home / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "prefect", *arguments],
                cwd=self.project,
                env=self.env,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _logs(self) -> str:
        texts = {path.name: path.read_text(errors="replace") for path in self.home.glob("*.log")}
        return "\n".join(f"--- {name}\n{text[-3000:]}" for name, text in texts.items())
