"""Tasks of messages: what the outbox owes, and the hook of a flow that failed."""

import hashlib
from typing import Any

from prefect import Flow, State, task
from prefect.client.schemas.objects import FlowRun

from driftune.config import Config
from driftune.errors import DayRefusedError
from driftune.notify.deliver import deliver as send
from driftune.params import load_config
from driftune.redact import redact
from driftune.registry.ledger import Ledger
from tasks.policy import QUICK


@task(task_run_name="messages", **QUICK)
def deliver(config: Config) -> int:
    """Send the messages that are owed; returns how many were."""
    with Ledger(config) as ledger:
        return send(config, ledger)


def tell_failed(flow: Flow[Any, Any], run: FlowRun, state: State[Any]) -> None:
    """Queue and send the message of a run that failed; a refused day has its own.

    An adaptation within a day's run is told by that one.
    """
    parameters = run.parameters
    config = load_config(parameters.get("config", "params.yaml"))
    if "failure" not in config.notify.kinds or (flow.name == "adapt" and run.parent_task_run_id):
        return
    error = state.result(raise_on_failure=False)
    if isinstance(error, DayRefusedError):
        return
    text = redact(str(error) or type(error).__name__)
    began = run.expected_start_time
    day = str(parameters.get("day") or (began.date() if began else ""))
    name = hashlib.sha256(f"{flow.name} {parameters} {text}".encode()).hexdigest()[:16]
    with Ledger(config) as ledger:
        ledger.announce(
            "failure",
            f"{flow.name}.{day}.{name}",
            day=day,
            run=run.name,
            error=f"{type(error).__name__}: {text}",
            todo="see the run's log; when the cause is mended, run it again",
        )
        send(config, ledger)
