"""Tasks of the day's data: fetch, validate, commit."""

from datetime import date
from pathlib import Path

from prefect import task

from driftune.adaptation.outside.orphans import end_orphans
from driftune.config import Config
from driftune.intake import ingest
from driftune.intake.missed import missed_days
from driftune.intake.stage import stage
from driftune.lake.source import Fetched, fetch
from driftune.progress import report
from driftune.quality.record import DayQuality
from driftune.quality.staged import Staged
from driftune.registry.ledger import Ledger
from driftune.training.pretrain import ensure_backbone
from tasks.policy import LONG, QUICK
from tasks.trainer import DeployedTrainers


@task(task_run_name="pre-train if needed", **LONG)
def prepare(config: Config) -> None:
    """Have the reference days in the lake and a backbone, and no job of a run that was killed."""
    with Ledger(config) as ledger:
        end_orphans(config, ledger, DeployedTrainers())
        ensure_backbone(config, ledger, report)


@task(task_run_name="missed days before {day}", **QUICK)
def missed(config: Config, day: date) -> list[date]:
    """Days before this one that have arrived and that no run has finished."""
    with Ledger(config) as ledger:
        return missed_days(config, ledger, day)


@task(task_run_name="fetch {day}", **QUICK)
def fetch_day(config: Config, day: date, folder: Path) -> Fetched:
    """Fetch the day's files."""
    return fetch(config, day, folder)


@task(task_run_name="look up", **QUICK)
def held_already(config: Config, fetched: Fetched) -> ingest.Ingested | None:
    """The day's earlier result when this very content is in the lake, which has lost no day."""
    with Ledger(config) as ledger:
        return ingest.held(config, ledger, fetched)


@task(task_run_name="stage", **QUICK)
def stage_day(config: Config, fetched: Fetched, folder: Path) -> Staged:
    """Stage the day's files under canonical names."""
    folder.joinpath("day.duckdb").unlink(missing_ok=True)
    domains = ingest.domains_for(config, fetched.day)
    return stage(config, fetched, domains, folder / "day.duckdb")


@task(task_run_name="validate", **QUICK)
def validate_day(config: Config, staged: Staged) -> DayQuality:
    """Run the checkpoint, and quarantine broken rows."""
    return ingest.check(config, staged)


@task(task_run_name="commit", **QUICK)
def commit_day(config: Config, staged: Staged, quality: DayQuality) -> ingest.Ingested:
    """Commit an accepted day to the lake."""
    with Ledger(config) as ledger:
        return ingest.commit_day(config, ledger, staged, quality)
