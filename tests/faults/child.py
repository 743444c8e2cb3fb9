"""What a forked process does in a case: one piece of the product's work, with a fault built in."""

import importlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

from prefect.settings import PREFECT_API_URL, temporary_settings

from driftune.config.loading import load_config
from driftune.registry import rollback
from driftune.registry.ledger import Ledger
from driftune.registry.reconcile import reconcile
from flows.adapt import adapt
from flows.daily import daily
from tests.faults.table import Fault

# A marker of the child that waits at its boundary, and the one that lets it go on.
REACHED, GO = "reached", "go"
WAIT_SECONDS = 300


def live(params: str, work: str, day: str, fault: Fault | None, env: dict[str, str]) -> None:
    """Do ``work`` in the world of ``params``; what is printed goes to a file beside it."""
    home = Path(params).parent
    output = os.open(home / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ.update(env)
    for module in ("tasks.drift", "tasks.guard"):
        _wrap(f"{module}:emit_event", lambda call: _note_event(home, call))
    if fault is not None:
        _install(fault, home)
    code = 1
    try:
        with temporary_settings({PREFECT_API_URL: env["PREFECT_API_URL"]}):
            WORKS[work](params, date.fromisoformat(day))
        code = 0
    except Exception:
        traceback.print_exc()
    finally:
        # Prefect's threads would take seconds to say good-bye.
        sys.stderr.flush()
        os._exit(code)


def _note_event(home: Path, call: Callable[..., Any]) -> Callable[..., Any]:
    """Keep what was emitted; the ledger only knows what is owed."""

    def emit(**event: Any) -> Any:
        result = call(**event)
        line = json.dumps([event["event"], event["resource"]["prefect.resource.id"]])
        with (home / "events.txt").open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
        return result

    return emit


def _install(fault: Fault, home: Path) -> None:
    if fault.kind == "clock":
        _shift_clock(fault.seconds)
        return
    calls = 0

    def strike() -> None:
        if fault.kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        (home / REACHED).touch()
        end = time.monotonic() + WAIT_SECONDS
        while not (home / GO).exists() and time.monotonic() < end:
            time.sleep(0.05)

    def around(call: Callable[..., Any]) -> Callable[..., Any]:
        def struck(*arguments: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            due = calls == fault.call
            if due and fault.when == "before":
                strike()
            result = call(*arguments, **named)
            if due and fault.when == "after":
                strike()
            return result

        return struck

    _wrap(fault.at, around)


def _wrap(place: str, around: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Replace ``module:name`` (or ``module:Class.method``) by what ``around`` makes of it."""
    module, name = place.split(":")
    owner: Any = importlib.import_module(module)
    *path, last = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    setattr(owner, last, around(getattr(owner, last)))


def _shift_clock(seconds: float) -> None:
    """A wall clock that stands elsewhere; the monotonic one and that of the files stay."""
    now, now_ns = time.time, time.time_ns
    time.time = lambda: now() + seconds
    time.time_ns = lambda: now_ns() + int(seconds * 1e9)

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.fromtimestamp(time.time(), tz)

    for name, module in list(sys.modules.items()):
        if name.startswith("driftune.") and getattr(module, "datetime", None) is datetime:
            vars(module)["datetime"] = Shifted


def _daily(params: str, day: date) -> None:
    daily(day, params)


def _adapt(params: str, _: date) -> None:
    with Ledger(load_config(Path(params))) as ledger:
        drifted = {row.domain_key for row in ledger.decisions() if row.state != "stable"}
    # As the event wakes it up, whatever a run before has done already.
    for key in sorted(drifted):
        adapt(domain=key, config=params)


def _rollback(params: str, _: date) -> None:
    config = load_config(Path(params))
    with Ledger(config) as ledger:
        for key, row in ledger.champions().items():
            if row.version:
                rollback.rollback(config, ledger, key, None, "a drill")


def _reconcile(params: str, _: date) -> None:
    config = load_config(Path(params))
    with Ledger(config) as ledger:
        reconcile(config, ledger)


WORKS: dict[str, Callable[[str, date], None]] = {
    "daily": _daily,
    "adapt": _adapt,
    "rollback": _rollback,
    "reconcile": _reconcile,
}
