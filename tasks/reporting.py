"""Tasks of the record: the review site, and Prefect artifacts that mirror the day."""

import logging
from datetime import date
from typing import Any

from prefect import State, task
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.quality.record import DayQuality
from driftune.registry.ledger import Ledger
from driftune.reports import build_site
from driftune.reports.artifacts import day_links, day_summary, day_table
from driftune.reports.summary import day_rows
from tasks.policy import QUICK

log = logging.getLogger("driftune")
# Artifact keys of the pages that a day links to.
LINKS = {
    "day": "driftune-day-report",
    "Data Docs": "driftune-data-docs",
    "all days and domains": "driftune-report",
}


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


@task(task_run_name="report what has changed", **QUICK)
def refresh(config: Config) -> None:
    """Bring the review site up to what the ledger says, wherever a killed run has not."""
    with Ledger(config) as ledger:
        build_site(config, ledger, days=[])


@task(task_run_name="artifacts {day}", **QUICK)
def publish(config: Config, day: date, quality: DayQuality | None) -> None:
    """Mirror the day as Prefect artifacts: summary, table of domains, links to its pages."""
    with Ledger(config) as ledger:
        rows = day_rows(ledger, day)
    site = Workspace(config).reports
    text = day_summary(day, quality, rows, site)
    create_markdown_artifact(key="driftune-day", markdown=text, description=f"{day}")
    table = [dict(row) for row in day_table(quality, rows, site)]
    if table:
        create_table_artifact(key="driftune-domains", table=table, description=f"{day}")
    for name, address in day_links(day, site).items():
        create_link_artifact(key=LINKS[name], link=address, link_text=f"{day}: {name}")


def note(reported: State[Any]) -> None:
    """Log why a report could not be made; the work that it reports stays done."""
    if not reported.is_completed():
        reason = reported.result(raise_on_failure=False)
        log.error("the report is not up to date: %s; then run driftune report", reason)
