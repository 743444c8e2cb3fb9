"""Adaptations: for one decision, or for all that waits of a domain; then their pages."""

from prefect import flow
from prefect.runtime import flow_run

from driftune.config import Config
from driftune.config.loading import load_config
from driftune.errors import ConfigError
from driftune.observe.context import about
from driftune.observe.run import Run, observed
from tasks import adaptation, notices, reporting


def _run_name() -> str:
    given = flow_run.parameters
    return f"adapt {given.get('decision_id') or given.get('domain')}"


@flow(
    name="adapt",
    flow_run_name=_run_name,
    on_failure=[notices.tell_failed],
    on_crashed=[notices.tell_failed],
)
def adapt(
    decision_id: str | None = None, config: str = "params.yaml", domain: str | None = None
) -> str:
    """Adapt for one decision, or for all that wait of a domain (its key); returns the last state.

    A decision is adapted exactly once. The event that wakes this up names the domain: of several
    events close together only the first one starts a run, which therefore takes all that waits.
    """
    settings = load_config(config)
    if (domain is None) == (decision_id is None):
        raise ConfigError("adapt: give either decision_id or domain, the key of a domain")
    with observed(settings, "adapt", run=flow_run.name) as run, about(domain=domain):
        if decision_id is not None:
            return adapt_and_report(settings, decision_id, run)
        return adapt_waiting(settings, str(domain), run)


def adapt_waiting(settings: Config, domain: str, run: Run) -> str:
    """Adapt for all that waits of a domain, what comes meanwhile too; returns the last state."""
    states: dict[str, str] = {}
    while waiting := [one for one in adaptation.waiting_of(settings, domain) if one not in states]:
        states[waiting[0]] = adapt_and_report(settings, waiting[0], run)
    if not states:
        # A run that was killed may have adapted, and told nobody.
        reporting.note(reporting.refresh(settings, return_state=True))
        notices.deliver(settings, return_state=True)
        return "nothing waits"
    return [*states.values()][-1]


def adapt_and_report(settings: Config, decision_id: str, run: Run) -> str:
    """Adapt for one decision and refresh its pages, also when it fails."""
    try:
        with run.station("adapt"):
            return adaptation.adapt_decision(settings, decision_id)
    finally:
        # A fault of the report neither hides an error nor fails an adaptation that is done.
        with run.station("report"):
            reporting.note(reporting.report_decision(settings, decision_id, return_state=True))
            notices.deliver(settings, return_state=True)
