"""Days: which of them a run checks champions on, and which may speak for or against a version."""

from datetime import date, timedelta

import sqlalchemy as sa

from driftune.config import Config
from driftune.registry.ledger import Ledger
from driftune.registry.schema import AS_OF, checks, decisions


def matured(config: Config, ledger: Ledger, day: date) -> list[date]:
    """The days in the lake that the run of ``day`` checks champions on, in order.

    Those whose labels became mature (``gate.label_delay_hours``) since the last day before it that
    is in the lake, and ``day`` itself when it came so late that a run has passed by which its
    labels were.
    """
    delay = timedelta(days=config.gate.label_days)
    held = [date.fromisoformat(row.day) for row in ledger.days()]
    before = max((each for each in held if each < day), default=None)
    found = [
        each for each in held if each + delay <= day and (before is None or each + delay > before)
    ]
    if delay and day in held and _has_run(ledger, day + delay):
        found.append(day)
    return found


def unchecked(config: Config, ledger: Ledger, by: date) -> list[date]:
    """Days in the lake whose labels are mature at the end of ``by`` but checked no champion yet.

    They are those whose turn no daily run has come to take, as later days were refused or never
    arrived. Days on or before which every champion was trained cannot be checked.
    """
    trained = [
        max(record.reference_days)
        for key, row in ledger.champions().items()
        if (record := ledger.adapter(key, row.version)) is not None
    ]
    if not trained:
        return []
    delay = timedelta(days=config.gate.label_days)
    seen = {
        (row.day, row.revision)
        for row in ledger.read(sa.select(checks.c.day, checks.c.revision).distinct())
    }
    return [
        day
        for row in ledger.days()
        if row.day > min(trained)
        and (row.day, row.revision) not in seen
        and (day := date.fromisoformat(row.day)) + delay <= by
    ]


def _has_run(ledger: Ledger, day: date) -> bool:
    """Whether drift was decided for a day, or one after it."""
    return bool(ledger.read(sa.select(decisions.c.id).where(decisions.c.day >= str(day)).limit(1)))


def judged_until(ledger: Ledger, key: str, version: int) -> date:
    """The last day by whose rows the gate chose a version: they would flatter it."""
    record = ledger.adapter(key, version)
    wanted = "" if record is None else record.decision_id
    for row in ledger.decisions(decisions.c.id == wanted):
        look = None if row.gate is None else row.gate.last_look
        return date.fromisoformat(row.day) if look is None else look.day
    return date.min


def taken_back(ledger: Ledger, day: date) -> set[tuple[str, int]]:
    """Versions (domain key, version) that served on a day, and that its labels, or those of an
    earlier day, took back.
    """
    query = sa.select(checks.c.domain_key, checks.c.version).where(
        checks.c.restored.is_not(None),
        checks.c.day <= day.isoformat(),
        AS_OF.element >= day.isoformat(),
    )
    return {(row.domain_key, row.version) for row in ledger.read(query)}
