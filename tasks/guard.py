"""Tasks after promotion: champions checked on a day's labels, and the event of a rollback."""

from datetime import date

from prefect import task
from prefect.events import emit_event

from driftune.config import Config
from driftune.guard.check import check_champions, check_matured
from driftune.registry.checks import Check, mark_announced, unannounced
from driftune.registry.ledger import Ledger
from tasks.policy import QUICK

ROLLED_BACK_EVENT = "driftune.champion.rolled_back"


@task(task_run_name="check champions {day}", **QUICK)
def check(config: Config, day: date) -> list[Check]:
    """Check the champions in the day's run."""
    with Ledger(config) as ledger:
        return check_champions(config, ledger, day)


@task(task_run_name="check champions by {by}", **QUICK)
def check_late(config: Config, by: date) -> list[Check]:
    """Check the champions on days that no daily run has, and whose labels are mature by now."""
    with Ledger(config) as ledger:
        return check_matured(config, ledger, by)


@task(task_run_name="rollbacks to announce", **QUICK)
def owed(config: Config) -> list[Check]:
    """The rollbacks whose event is still to be emitted, those of a run that was killed too."""
    with Ledger(config) as ledger:
        return unannounced(ledger)


@task(task_run_name="rolled back {found.domain_key}", **QUICK)
def announce(config: Config, found: Check) -> None:
    """Emit the event of a rollback, at least once; the ledger holds the truth."""
    emit_event(
        event=ROLLED_BACK_EVENT,
        resource={
            "prefect.resource.id": f"driftune.domain.{found.domain_key}",
            "prefect.resource.name": found.domain,
        },
        payload={
            "domain": found.domain,
            "domain_key": found.domain_key,
            "day": found.day,
            "as_of": found.as_of,
            "from_version": found.version,
            "to_version": found.restored,
            "estimate": found.estimate,
            "pooled": found.pooled,
            "rule": found.rule,
            "config": str(config.source_file),
        },
    )
    with Ledger(config) as ledger:
        mark_announced(ledger, found)
