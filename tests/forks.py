"""Processes of their own for tests that race or kill one: forked, as a new one imports for seconds.

The first one starts the server that the others are forked from (``tests/preloaded.py`` has what it
imports); its environment is theirs, whatever a test sets later.
"""

import importlib
import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from multiprocessing.forkserver import ensure_running
from multiprocessing.process import BaseProcess
from typing import Any

import pytest

PATIENCE = 240
# In the environment of the server: "whole" or "light", see tests.preloaded.
KEY = "DRIFTUNE_TESTS_PRELOADED"


def fork_server(whole: bool) -> ForkServerContext:
    """Start the server; returns where processes are made.

    ``whole``: with all that a day needs imported, which takes some 20 s.
    """
    context = multiprocessing.get_context("forkserver")
    os.environ[KEY] = "whole" if whole else "light"
    context.set_forkserver_preload(["tests.preloaded"])
    ensure_running()
    return context


def ended(process: BaseProcess) -> int:
    """The exit code of a process; one that does not end in time is killed."""
    process.join(PATIENCE)
    if process.exitcode is None:
        process.kill()
        process.join()
        pytest.fail("a process did not end")
    return process.exitcode


def kill_at(
    forks: ForkServerContext, point: str, work: Callable[..., Any], *arguments: Any
) -> None:
    """Do ``work`` in a process that is killed (-9) where it calls ``point`` (module:name)."""
    process = forks.Process(target=_work_until, args=(point, work, arguments))
    process.start()
    assert ended(process) == -signal.SIGKILL


def _work_until(point: str, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    module, name = point.split(":")
    owner: Any = importlib.import_module(module)
    *path, last = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    setattr(owner, last, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
    work(*arguments)
