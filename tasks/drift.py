"""Tasks of drift detection: windows of all domains, each measured, then decided together."""

from collections.abc import Mapping, Sequence
from datetime import date

from prefect import task
from prefect.events import emit_event

from driftune.config import Config
from driftune.drift import detect, measure, pages, windows
from driftune.observe.logs import continued
from driftune.registry import redeciding
from driftune.registry.decision_queries import require_decided
from driftune.registry.ledger import Ledger
from driftune.registry.redeciding import AskedBy
from tasks.policy import QUICK, SPREAD

DRIFT_EVENT = "driftune.drift.detected"


@task(task_run_name="windows {day}", **QUICK)
def draw_windows(config: Config, day: date, *, again: bool = False) -> list[windows.DomainWindow]:
    """Draw the windows of the day's domains, unless all are decided; ``again``: as they are now."""
    with Ledger(config) as ledger:
        return windows.draw_windows(config, ledger, day, again=again)


@task(task_run_name="stale champions {day}", **QUICK)
def take_back_stale(config: Config, day: date, again: AskedBy) -> list[str]:
    """Take back the champions of the day's decisions that rest on a day delivered anew since.

    None is while something keeps the day from being decided: see ``windows.require_decidable``.
    """
    with Ledger(config) as ledger:
        windows.require_decidable(config, ledger, day)
        return redeciding.take_back_stale(config, ledger, day, again)


@task(task_run_name="drift {name}", **QUICK | SPREAD)
def measure_domains(
    config: Config, name: str, some: list[windows.DomainWindow], told: Mapping[str, str]
) -> list[measure.Measured]:
    """Measure some domains of a day together.

    ``name``: the domains, as the run is called; ``told``: what the run's log lines are about.
    """
    with continued(config, told):
        return measure.measure_domains(config, some)


@task(task_run_name="decide", **QUICK)
def decide_day(
    config: Config,
    drawn: list[windows.DomainWindow],
    measured: Sequence[measure.Measured | BaseException],
    again: AskedBy | None = None,
) -> list[str]:
    """Judge the day's domains together and write their decisions; returns the ids.

    ``measured``: of each domain what was measured, or the error that it ended in.
    """
    told = [
        measure.failed(window, each) if isinstance(each, BaseException) else each
        for window, each in zip(drawn, measured, strict=True)
    ]
    with Ledger(config) as ledger:
        return detect.decide_day(config, ledger, drawn, told, again)


@task(task_run_name="errors {day}", **QUICK)
def require_no_errors(config: Config, day: date) -> None:
    """See that no domain's decision of the day ended in an error."""
    with Ledger(config) as ledger:
        require_decided(ledger, day)


@task(task_run_name="Evidently's pages {day}", **QUICK)
def write_pages(config: Config, day: date) -> int:
    """Write Evidently's pages of the day's alerts, and the snapshots of its series."""
    with Ledger(config) as ledger:
        return pages.write_pages(config, ledger, day) + pages.add_snapshots(config, ledger, day)


@task(task_run_name="open decisions", **QUICK)
def open_decisions(config: Config, day: date) -> dict[str, str]:
    """Ids of decisions up to the day that wait for an adaptation, with their domains."""
    with Ledger(config) as ledger:
        return {row.id: row.domain for row in ledger.waiting(day)}


@task(task_run_name="alert {decision_id}", **QUICK)
def alert(config: Config, decision_id: str) -> None:
    """Emit the drift event of a decision: a wake-up, the ledger holds the truth."""
    with Ledger(config) as ledger:
        row = ledger.decision(decision_id)
    emit_event(
        event=DRIFT_EVENT,
        resource={
            "prefect.resource.id": f"driftune.domain.{row.domain_key}",
            "prefect.resource.name": row.domain,
        },
        payload={
            "decision_id": row.id,
            "domain": row.domain,
            "domain_key": row.domain_key,
            "day": row.day,
            "score": row.score,
            "config": str(config.source_file),
        },
    )
