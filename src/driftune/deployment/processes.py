"""Processes that a command starts and takes down again, whatever they have started themselves."""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from driftune.errors import DriftuneError

# Seconds that a process has to end when asked, before it is killed.
PATIENCE = 20
POLL = 0.2


class Process:
    """A command that goes on running, its output in a file."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        env: dict[str, str],
        stdin: int = subprocess.DEVNULL,
    ) -> None:
        """Start it; ``stdin``: ``subprocess.PIPE`` for one that ends with this process."""
        self.name, self.log = name, log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            # A session of its own: Ctrl-C reaches the command that started it, which ends it.
            self._popen = subprocess.Popen(
                command,
                stdin=stdin,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=env,
                start_new_session=True,
            )

    @property
    def identity(self) -> tuple[int, float]:
        """Its number, and when it started: numbers are used again."""
        return self._popen.pid, psutil.Process(self._popen.pid).create_time()

    def check(self) -> None:
        """See that it still runs.

        Raises:
            DriftuneError: with the last line that it printed.
        """
        if self._popen.poll() is not None:
            raise DriftuneError(
                f"{self.name} ended with code {self._popen.returncode}: "
                f"{last_line(self.log)}; all it said: {self.log}"
            )

    def says(self, text: str) -> bool:
        """Whether its output has the text."""
        return text in self.log.read_text(encoding="utf-8", errors="replace")

    def stop(self) -> None:
        """End it and all that it started; kill what does not heed."""
        stop_tree(self._popen.pid)
        self._popen.wait()
        if self._popen.stdin is not None:
            self._popen.stdin.close()


def run_once(arguments: Sequence[str], folder: Path, env: dict[str, str]) -> None:
    """Run a Prefect command to its end.

    Raises:
        DriftuneError: with the last line that it printed, when it fails.
    """
    done = subprocess.run(
        prefect(arguments),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=env,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        said = [line for line in done.stdout.splitlines() if line.strip()]
        raise DriftuneError(
            f"prefect {' '.join(arguments)}: {said[-1].strip() if said else done.returncode}"
        )


def stop_tree(pid: int) -> None:
    """End a process and its descendants: asked first, killed after ``PATIENCE`` seconds."""
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    # The one that started the others ends them as it knows best; what it leaves is asked, too.
    _end([root])
    _end(family)


def _end(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, left = psutil.wait_procs(processes, timeout=PATIENCE)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=PATIENCE)


def is_running(pid: int, started: float) -> bool:
    """Whether a process of that number runs that started then."""
    try:
        return bool(abs(psutil.Process(pid).create_time() - started) < 1)
    except psutil.NoSuchProcess:
        return False


def mark(place: str) -> str:
    """What marks the processes that this one starts, for a place: who started them, and when."""
    me = psutil.Process()
    return f"{me.pid} {me.create_time()} {place}"


def marked(variable: str, place: str) -> list[tuple[int, tuple[int, float]]]:
    """The processes whose environment has a mark of the place: number, and who started them.

    Those of other users are none of ours.
    """
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError, ValueError):
            by, started, where = process.environ().get(variable, "").split(" ", 2)
            if where == place:
                found.append((process.pid, (int(by), float(started))))
    return found


def last_line(log: Path) -> str:
    """The last line of a file that is not empty."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


def wait_until(
    condition: Callable[[], bool], processes: Sequence[Process], seconds: float, what: str
) -> None:
    """Wait for a condition while the processes run.

    Raises:
        DriftuneError: when one of them ends, or the time is over.
    """
    end = time.monotonic() + seconds
    while not condition():
        for process in processes:
            process.check()
        if time.monotonic() > end:
            raise DriftuneError(
                f"{what} is not there after {seconds:.0f} s; see {processes[-1].log}"
            )
        time.sleep(POLL)


def prefect(arguments: Sequence[str]) -> list[str]:
    """The command line of Prefect's program."""
    return [sys.executable, "-m", "prefect", *arguments]
