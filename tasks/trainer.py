"""Training jobs of the user's own that are deployments: their runs started, awaited, cancelled."""

import logging
import time
from datetime import UTC, datetime

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterIdempotencyKey
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL
from prefect.states import Cancelled, Cancelling

from driftune.adaptation.outside.job import Attempt, Beat
from driftune.adaptation.outside.left import forget, note
from driftune.deployment.own_server import is_own
from driftune.errors import ConfigError, TrainerError, TrainerStoppedError

log = logging.getLogger("driftune")

# Between two looks at a run; until one that was cancelled has ended on its worker.
LOOK_SECONDS, PATIENCE_SECONDS = 1.0, 120.0
# For how long the server may be away: a job of hours does not end for a restart of it.
AWAY_SECONDS = 300.0
# What the server answers to parameters that the flow does not have.
REFUSED = (409, 422)


class DeployedTrainers:
    """Starts runs of deployments on the Prefect server; see ``Deployments``."""

    def run(self, attempt: Attempt, beat: Beat) -> None:
        """Let the deployment do the job, and wait for its end; ``beat`` is called meanwhile.

        Whatever happens, no run of it is at work afterwards.

        Raises:
            ConfigError: when there is no such deployment, or no server.
            TrainerStoppedError: when the run crashed, or cannot be ended.
            TrainerError: when it failed or was cancelled, or was not done by the deadline.
        """
        note(attempt)
        ended = None
        try:
            run = _started(attempt)
            with get_client(sync_client=True) as client:
                ended = _awaited(client, run, attempt.deadline, beat)
        finally:
            if ended is None:
                self.end(attempt.name)
            forget(attempt.note, attempt.name)
        if ended is None:
            raise TrainerError(
                f"{attempt.domain}: the run of {attempt.trainer.deployment} was not done after "
                f"{attempt.trainer.timeout_minutes:g} minutes and was cancelled; see that a worker "
                "takes its runs, or raise adapter.trainer.timeout_minutes"
            )
        _require_success(attempt, ended)

    def end(self, name: str) -> None:
        """Cancel the run of the attempt of this name, if there is one, and wait for its end.

        Raises:
            TrainerStoppedError: when it still runs.
        """
        with get_client(sync_client=True) as client:
            end = time.monotonic() + PATIENCE_SECONDS
            while run := _open_run(client, name):
                if run.state is None or not run.state.is_cancelling():
                    begun = run.state is not None and run.state.is_running()
                    client.set_flow_run_state(run.id, Cancelling() if begun else Cancelled())
                if time.monotonic() > end:
                    raise TrainerStoppedError(
                        f"run '{run.name}' of the training job is cancelled and still at work; see "
                        "its worker"
                    )
                time.sleep(LOOK_SECONDS)


def _started(attempt: Attempt) -> FlowRun:
    """The run of the deployment, which the attempt's name finds again."""
    where = f"{attempt.params}: adapter.trainer.deployment = {attempt.trainer.deployment!r}"
    if is_own(PREFECT_API_URL.value()):
        raise ConfigError(
            f"{where}: PREFECT_API_URL is not set, and a deployment needs a server and a worker; "
            "run prefect server start and set it"
        )
    with get_client(sync_client=True) as client:
        try:
            deployment = client.read_deployment_by_name(str(attempt.trainer.deployment))
            return client.create_flow_run_from_deployment(
                deployment.id,
                parameters={"job": str(attempt.file)},
                name=attempt.name,
                idempotency_key=attempt.name,
            )
        except ObjectNotFound:
            raise ConfigError(
                f"{where}: the Prefect server knows no such deployment; see prefect deployment ls"
            ) from None
        except PrefectHTTPStatusError as error:
            if error.response.status_code not in REFUSED:
                raise
            raise ConfigError(
                f"{where}: the Prefect server refuses the run; the flow has one parameter, 'job' "
                f"({' '.join(error.response.text.split())[:300]})"
            ) from None


def _awaited(
    client: SyncPrefectClient, run: FlowRun, deadline: datetime, beat: Beat
) -> State | None:
    """The state that a run ends in; None when it has not by the deadline.

    Raises:
        TrainerStoppedError: when the server was away for too long.
    """
    seen, away = time.monotonic(), False
    while datetime.now(UTC) < deadline:
        try:
            state = client.read_flow_run(run.id).state
            seen, away = time.monotonic(), False
        except (httpx.TransportError, PrefectHTTPStatusError) as error:
            state = None
            if isinstance(error, PrefectHTTPStatusError) and not error.response.is_server_error:
                raise
            if time.monotonic() - seen > AWAY_SECONDS:
                raise TrainerStoppedError(
                    f"the Prefect server was away for {AWAY_SECONDS / 60:g} minutes while the "
                    f"training job ran: {error}"
                ) from None
            if not away:
                log.warning("the Prefect server is away, and asked again: %s", error)
            away = True
        if state is not None and state.is_final():
            return state
        beat()
        time.sleep(LOOK_SECONDS)
    return None


def _open_run(client: SyncPrefectClient, name: str) -> FlowRun | None:
    named = FlowRunFilter(idempotency_key=FlowRunFilterIdempotencyKey(any_=[name]))
    runs = client.read_flow_runs(flow_run_filter=named)
    return next((run for run in runs if run.state is None or not run.state.is_final()), None)


def _require_success(attempt: Attempt, state: State) -> None:
    """See that a run has completed.

    Raises:
        TrainerStoppedError, TrainerError: with what its state says.
    """
    if state.is_completed():
        return
    kind = TrainerStoppedError if state.type == StateType.CRASHED else TrainerError
    said = " ".join((state.message or "its state says no more").split())[:500]
    raise kind(
        f"{attempt.domain}: the run of {attempt.trainer.deployment} ended as {state.name}: {said}"
    )
