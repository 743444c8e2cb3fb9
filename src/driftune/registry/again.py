"""Again: a day's decision gives way to one under other settings, or on days delivered anew.

A decision and its successor change places in one transaction: whoever dies in between, or comes
second, leaves or finds the one or the other.
"""

import logging
import time
from collections.abc import Collection
from datetime import UTC, date, datetime
from typing import NamedTuple

import sqlalchemy as sa

from driftune.config import Config
from driftune.config.marks import changed_settings
from driftune.errors import LedgerError, RegistryError
from driftune.registry.claims import HELD, is_lost
from driftune.registry.ledger import Ledger
from driftune.registry.records import Decision, State
from driftune.registry.records.decision import NewDecision, decision_query
from driftune.registry.review import ReviewEntry
from driftune.registry.rollback import rollback
from driftune.registry.schema import champions, decisions, insert_new, redecided
from driftune.registry.stale_champions import stale_champions

log = logging.getLogger("driftune")


class Again(NamedTuple):
    """Who has a day decided again, and why; the audit keeps both."""

    who: str
    why: str


def decisions_made(ledger: Ledger, day: date, revision: int, backbone: str) -> dict[str, int]:
    """How many decisions each domain (key) has of a day in its revision, under a backbone."""
    query = sa.select(decisions.c.domain_key, sa.func.count()).where(*_of(day, revision, backbone))
    return {key: int(count) for key, count in ledger.read(query.group_by(decisions.c.domain_key))}


def standing_decisions(
    ledger: Ledger, day: date, revision: int, backbone: str
) -> dict[str, Decision]:
    """The newest of these decisions, by domain key."""
    return {row.domain_key: row for row in ledger.decisions(*_of(day, revision, backbone))}


def staying(ledger: Ledger, rows: Collection[Decision]) -> dict[str, str]:
    """By domain key why decisions cannot be made again (see ``stays``); others are left out."""
    with ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        reasons = {row.domain_key: stays(connection, row) for row in rows}
    return {key: reason for key, reason in reasons.items() if reason is not None}


def _of(day: date, revision: int, backbone: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        decisions.c.day == day.isoformat(),
        decisions.c.revision == revision,
        decisions.c.backbone == backbone,
    )


def stays(connection: sa.Connection, row: Decision) -> str | None:
    """Why a decision cannot be made again; None when it can.

    One that brought a champion stays, unless a day that it used has changed and the version no
    longer serves; so does one that a run adapts for, or judges, at the moment.
    """
    if row.state == State.PROMOTED:
        serves = connection.scalar(
            sa.select(champions.c.version).where(champions.c.domain_key == row.domain_key)
        )
        if row.stale is None or serves == row.adapter_version:
            return f"its challenger became version {row.adapter_version}"
    if row.state not in HELD or row.lease_until is None:
        return None
    lost = connection.scalar(
        sa.select(decisions.c.id).where(decisions.c.id == row.id, is_lost(connection))
    )
    return None if lost else "a run is at work on it; run this again when that has ended"


def replace_decision(ledger: Ledger, old_id: str, again: Again, values: NewDecision) -> Decision:
    """Write the successor of a decision, which ends as superseded; returns who stands then.

    That is the old one where it has to stay by now, and another run's successor where that was
    first.

    Raises:
        LedgerError: when there is no such decision.
    """
    with ledger.write() as connection:
        query = decision_query().where(decisions.c.id.in_([old_id, values["id"]]))
        rows = connection.execute(query.with_for_update()).mappings()
        found = {row.id: row for row in map(Decision.of, rows)}
        if old_id not in found:
            raise LedgerError(f"decision '{old_id}' is not in the ledger; run the day again")
        if values["id"] in found:
            return found[values["id"]]
        old = found[old_id]
        if (reason := stays(connection, old)) is not None:
            log.info("%s stays as it is: %s", old_id, reason)
            return old
        now = time.time()
        if old.state != State.PROMOTED:
            end = {"state": State.SUPERSEDED.value, "owner": None, "lease_until": None}
            note = _note(old, again, values, now)
            gone = decisions.update().where(decisions.c.id == old_id)
            connection.execute(gone.values(**end, note=note, updated_at=now))
        entry = {
            "decision_id": old_id,
            "successor": values["id"],
            "domain_key": old.domain_key,
            "who": again.who,
            "reason": again.why,
            "at": now,
        }
        insert_new(connection, redecided, entry)
        row, _ = ledger.decide_within(connection, values)
        return row


def _note(old: Decision, again: Again, values: NewDecision, now: float) -> str:
    at = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M")
    changed = what_changed(old, values["scores"].settings)
    why = f" ({again.why})" if again.why else ""
    return f"decided again by {again.who} on {at} UTC: {changed}{why}"


def what_changed(row: Decision, marks: dict[str, str]) -> str | None:
    """What speaks for making a decision again, in words; None where nothing does.

    ``marks``: of the settings that it would be made under.
    """
    before = row.readable().scores.settings
    if not before:
        return "an earlier release did not keep its settings"
    if names := changed_settings(before, marks):
        return f"{', '.join(names)} changed"
    return None if row.stale is None else "a day that it used was delivered anew"


def take_back_stale(config: Config, ledger: Ledger, day: date, again: Again) -> list[str]:
    """Take back the champions of the day's decisions that rest on a day delivered anew since.

    The version before each serves then, and the day can be decided for its domain again. Returns
    a line each; one that another run has taken back meanwhile is left out.
    """
    lines = []
    for key, each in stale_champions(ledger).items():
        if each.day != day.isoformat():
            continue
        reason = f"{each.day} is decided again: {each.stale}" + (f"; {again.why}" * bool(again.why))
        try:
            found = rollback(config, ledger, key, None, reason, expected=each.version)
        except RegistryError as error:
            log.info("%s", error)
            continue
        to = f"version {found.version}" if found.version else "the frozen base"
        lines.append(f"{each.domain}: version {each.version} is stale and taken back, {to} serves")
    for line in lines:
        log.info("%s", line)
    return lines


def redecided_of(ledger: Ledger, key: str | None = None) -> list[ReviewEntry]:
    """Which decisions were made again, of a domain (key) or of all, oldest first."""
    query = sa.select(redecided).order_by(redecided.c.at, redecided.c.decision_id)
    rows = ledger.read(query if key is None else query.where(redecided.c.domain_key == key))
    return [
        {
            "at": datetime.fromtimestamp(row.at, UTC).isoformat(timespec="seconds"),
            "decision": row.decision_id,
            "verdict": f"decided again as {row.successor}",
            "who": row.who,
            "why": row.reason,
        }
        for row in rows
    ]
