"""Tasks of upkeep: what a run that died, an event that was lost or MLflow's absence has left."""

from prefect import get_client, task
from prefect.client.schemas.filters import FlowRunFilter
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound

from driftune.adaptation.outside.orphans import end_orphans
from driftune.config import Config
from driftune.errors import RegistryError
from driftune.registry import overdue as waiting
from driftune.registry.ledger import Ledger
from driftune.registry.reconcile import reconcile
from driftune.registry.rows import Finding
from tasks.policy import QUICK
from tasks.trainer import DeployedTrainers

ADAPT = "adapt/adapt"


@task(task_run_name="end outdated decisions", **QUICK)
def end_outdated(config: Config) -> list[str]:
    """End decisions that must not be adapted for any more; returns their ids."""
    with Ledger(config) as ledger:
        return [row.id for row in waiting.end_outdated(ledger)]


@task(task_run_name="overdue domains", **QUICK)
def overdue_domains(config: Config, minutes: float) -> list[str]:
    """Keys of the domains that have waited too long for an adaptation, longest first."""
    with Ledger(config) as ledger:
        return [*dict.fromkeys(row.domain_key for row in waiting.overdue(ledger, minutes))]


@task(task_run_name="start adapt {domain}", **QUICK)
def start_adapt(config: Config, domain: str) -> bool:
    """Start the deployment that adapts for all that a domain has waiting; False without one.

    Nothing is started while such a run of an earlier reconciliation waits for a worker.
    """
    tag = f"{domain} of {config.source_file}"
    with get_client(sync_client=True) as client:
        queued = FlowRunFilter.model_validate(
            {"tags": {"all_": [tag]}, "state": {"type": {"any_": ["SCHEDULED"]}}}
        )
        if client.read_flow_runs(flow_run_filter=queued, limit=1):
            return True
    try:
        run_deployment(
            ADAPT,
            parameters={"domain": domain, "config": str(config.source_file)},
            tags=[tag],
            timeout=0,
            as_subflow=False,
        )
    except ObjectNotFound:
        return False
    return True


@task(task_run_name="bring in line", **QUICK)
def bring_in_line(config: Config) -> dict[str, list[Finding]]:
    """Free lost claims, end their training jobs, and mend aliases.

    Raises:
        RegistryError: when an alias cannot be corrected; what can be done is done then.
    """
    with Ledger(config) as ledger:
        found = reconcile(config, ledger)
        end_orphans(config, ledger, DeployedTrainers())
    wrong = [each["what"] for part in found.values() for each in part if not each["ok"]]
    if wrong:
        raise RegistryError("; ".join(wrong))
    return found
