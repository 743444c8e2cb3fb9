"""Days: which of them a run checks champions on, and which may speak for or against a version."""

from datetime import date, timedelta

from driftune.config import Config
from driftune.registry.checks import checked_days
from driftune.registry.decision_queries import decision_behind, is_decided_since
from driftune.registry.ledger import Ledger


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
    if delay and day in held and is_decided_since(ledger, day + delay):
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
    seen = checked_days(ledger)
    return [
        day
        for row in ledger.days()
        if row.day > min(trained)
        and (row.day, row.revision) not in seen
        and (day := date.fromisoformat(row.day)) + delay <= by
    ]


def judged_until(ledger: Ledger, key: str, version: int) -> date:
    """The last day by whose rows the gate chose a version: they would flatter it."""
    decision = decision_behind(ledger, key, version)
    if decision is None:
        return date.min
    look = None if decision.gate is None else decision.gate.last_look
    return date.fromisoformat(decision.day) if look is None else look.day
