"""Days that a scheduled run owes: the last full one, and those before that no run has finished."""

from datetime import date, datetime, timedelta

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.errors import SourceError
from driftune.intake.ingest import is_judged
from driftune.lake.scratch import scratch
from driftune.lake.source import arrived, fetch
from driftune.quality.record import read_quality
from driftune.registry.decision_queries import is_decided
from driftune.registry.ledger import Ledger


def last_full_day(config: Config, moment: datetime) -> date:
    """The last day that had ended at ``moment`` (with an offset), in the configured zone."""
    return moment.astimezone(config.zone).date() - timedelta(days=1)


def missed_days(config: Config, ledger: Ledger, day: date) -> list[date]:
    """Days before ``day`` whose files are there and that no run has finished, in order.

    They are looked for among the last ``source.late_days`` days and, when runs have failed to
    come for longer, back to the newest day in the ledger, at most ``source.catch_up_days``. A
    day is finished when drift was decided for what it holds now; one that was refused counts
    again when it is delivered anew, or would be judged by other rules.
    """
    before = (day - timedelta(days=n) for n in range(_reach(config, ledger, day), 0, -1))
    return [
        other
        for other in before
        if other > config.reference.last
        and not _finished(ledger, other)
        and arrived(config, other)
        and not _refused_already(config, other)
    ]


def _reach(config: Config, ledger: Ledger, day: date) -> int:
    """How many days before ``day`` to look at."""
    recorded = [date.fromisoformat(row.day) for row in ledger.days()]
    before = [other for other in recorded if config.reference.last < other < day]
    gap = (day - max(before)).days - 1 if before else 0
    return max(config.source.late_days, min(gap, config.source.catch_up_days))


def _finished(ledger: Ledger, day: date) -> bool:
    """Whether the day is in the lake and drift was decided for its revision.

    A run that was killed in between has left the first without the second.
    """
    row = ledger.day(day)
    return row is not None and is_decided(ledger, day, row.revision)


def _refused_already(config: Config, day: date) -> bool:
    quality = read_quality(Workspace(config), day)
    if quality is None or quality.verdict != "refused":
        return False
    with scratch(config, day) as folder:
        try:
            fetched = fetch(config, day, folder)
        except SourceError:
            return False
        return is_judged(config, fetched, quality)
