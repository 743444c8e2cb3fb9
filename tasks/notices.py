"""Tasks of messages: what the outbox owes, and the hook of a flow that failed."""

import hashlib
from typing import Any

from prefect import Flow, State, task
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import CrashedRun

from driftune.config import Config
from driftune.config.loading import load_config
from driftune.errors import DayRefusedError
from driftune.notify.deliver import deliver as send
from driftune.redact import redact
from driftune.registry.ledger import Ledger
from tasks.policy import QUICK


@task(task_run_name="messages", **QUICK)
def deliver(config: Config) -> int:
    """Send the messages that are owed; returns how many were."""
    with Ledger(config) as ledger:
        return send(config, ledger)


def tell_failed(flow: Flow[Any, Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Queue and send the message of a run that failed, or whose process was killed; a refused day
    has its own.

    An adaptation within a day's run is told by that one. Prefect's workers name the arguments.
    """
    parameters = flow_run.parameters
    config = load_config(parameters.get("config", "params.yaml"))
    within = flow.name == "adapt" and flow_run.parent_task_run_id
    if "failure" not in config.notify.kinds or within:
        return
    error = _error(state)
    if isinstance(error, DayRefusedError):
        return
    text = redact(str(error) or type(error).__name__)
    began = flow_run.expected_start_time
    day = str(parameters.get("day") or (began.date() if began else ""))
    name = hashlib.sha256(f"{flow.name} {parameters} {text}".encode()).hexdigest()[:16]
    with Ledger(config) as ledger:
        ledger.announce(
            "failure",
            f"{flow.name}.{day}.{name}",
            day=day,
            # A worker knows a run that was killed by the name that it had before it began.
            run=f"{flow.name} {parameters.get('decision_id') or parameters.get('domain') or day}",
            error=f"{type(error).__name__}: {text}",
            todo="see the run's log; when the cause is mended, run it again",
        )
        send(config, ledger)


def _error(state: State[Any]) -> Exception:
    """What ended a run. Of a process that was killed only its worker can tell."""
    if state.is_crashed():
        return CrashedRun(state.message or "its process ended without a word")
    error = state.result(raise_on_failure=False)
    return error if isinstance(error, Exception) else RuntimeError(state.message or "no error")
