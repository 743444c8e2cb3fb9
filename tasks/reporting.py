"""Tasks of the record: the review site, and Prefect artifacts that mirror the day."""

import logging
from datetime import date
from typing import Any

from prefect import State, task
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact

from driftune.config import Config
from driftune.quality.record import DayQuality
from driftune.registry.ledger import Ledger
from driftune.reports import build_site
from driftune.reports.summary import day_rows, day_summary
from driftune.workspace import Workspace
from tasks.policy import QUICK

log = logging.getLogger("driftune")


@task(task_run_name="report {day}", **QUICK)
def write_reports(config: Config, day: date, judged: list[str]) -> None:
    """Refresh the review site after a day, on which these decisions were judged again."""
    with Ledger(config) as ledger:
        since = [date.fromisoformat(ledger.decision(each).day) for each in judged]
        build_site(config, ledger, days=[day, *since])


@task(task_run_name="report {decision_id}", **QUICK)
def report_decision(config: Config, decision_id: str) -> None:
    """Refresh the review site after an adaptation."""
    with Ledger(config) as ledger:
        day = date.fromisoformat(ledger.decision(decision_id).day)
        build_site(config, ledger, days=[day])


@task(task_run_name="artifacts {day}", **QUICK)
def publish(config: Config, day: date, quality: DayQuality | None) -> None:
    """Mirror the day as Prefect artifacts: summary, table of domains, link to the site."""
    with Ledger(config) as ledger:
        rows: list[dict[str, Any]] = day_rows(ledger, day)
    create_markdown_artifact(
        key="driftune-day", markdown=day_summary(day, quality, rows), description=f"{day}"
    )
    if rows:
        create_table_artifact(key="driftune-domains", table=rows, description=f"{day}")
    index = Workspace(config).reports / "index.html"
    create_link_artifact(key="driftune-report", link=f"file://{index}", description=f"{day}")


def note(reported: State[Any]) -> None:
    """Log why a report could not be made; the work that it reports stays done."""
    if not reported.is_completed():
        reason = reported.result(raise_on_failure=False)
        log.error("the report is not up to date: %s; then run driftune report", reason)
