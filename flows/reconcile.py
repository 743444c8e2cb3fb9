"""Reconcile: what a run that died, an event that was lost or MLflow's absence has left undone."""

import logging
from typing import Any

from prefect import State, flow
from prefect.runtime import flow_run

from driftune.config import Config
from driftune.config.loading import load_config
from driftune.observe.run import observed
from flows.adapt import adapt
from tasks import guard, notices, reporting, upkeep

log = logging.getLogger("driftune")


@flow(name="reconcile", on_failure=[notices.tell_failed], on_crashed=[notices.tell_failed])
def reconcile(config: str = "params.yaml", wait_minutes: float = 5) -> dict[str, list[str]]:
    """Free lost claims, end outdated decisions, mend aliases, announce rollbacks, adapt the rest.

    A decision that has waited ``wait_minutes`` for a run gets one: its event was lost, or no
    server took it. Returns the decisions that ended and the domains that were adapted for.
    """
    settings = load_config(config)
    with observed(settings, "reconcile", run=flow_run.name):
        return run_once(settings, wait_minutes)


def run_once(settings: Config, wait_minutes: float) -> dict[str, list[str]]:
    """Each step in turn; what failed fails the run when all were tried."""
    outdated = upkeep.end_outdated(settings)
    domains = upkeep.overdue_domains(settings, wait_minutes)
    in_line = upkeep.bring_in_line(settings, return_state=True)
    for rolled_back in guard.owed(settings):
        guard.announce(settings, rolled_back)
    for decision in outdated:
        reporting.note(reporting.report_decision(settings, decision, return_state=True))
    started = [wake(settings, domain) for domain in domains]
    notices.deliver(settings, return_state=True)
    in_line.result()
    for state in started:
        if state is not None:
            state.result()
    log.info("reconciled: %d decisions outdated, %d domains woken", len(outdated), len(domains))
    return {"outdated": outdated, "woken": domains}


def wake(settings: Config, domain: str) -> State[Any] | None:
    """Start the deployment for all that a domain has waiting, or adapt here where there is none."""
    if settings.trigger == "event" and upkeep.start_adapt(settings, domain):
        return None
    return adapt(domain=domain, config=str(settings.source_file), return_state=True)
