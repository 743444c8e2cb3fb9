"""Tasks of the record: the review site, and Prefect artifacts that mirror the day."""

from datetime import date
from typing import Any

from prefect import task
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact

from driftune.config import Config
from driftune.quality.record import DayQuality
from driftune.registry.ledger import Ledger
from driftune.reports import build_site
from driftune.reports.summary import day_rows, day_summary
from tasks.policy import QUICK


@task(task_run_name="report", **QUICK)
def write_reports(config: Config) -> str:
    """Refresh the review site; returns the path of its front page."""
    with Ledger(config) as ledger:
        return str(build_site(config, ledger))


@task(task_run_name="artifacts {day}", **QUICK)
def publish(config: Config, day: date, quality: DayQuality | None, index: str) -> None:
    """Mirror the day as Prefect artifacts: summary, table of domains, link to the site."""
    with Ledger(config) as ledger:
        rows: list[dict[str, Any]] = day_rows(ledger, day)
    create_markdown_artifact(
        key="driftune-day", markdown=day_summary(day, quality, rows), description=f"{day}"
    )
    if rows:
        create_table_artifact(key="driftune-domains", table=rows, description=f"{day}")
    create_link_artifact(key="driftune-report", link=f"file://{index}", description=f"{day}")
