"""Redeciding: a day's decision gives way to one under other settings, or on days delivered anew.

A decision and its successor change places in one transaction: whoever dies in between, or comes
second, leaves or finds the one or the other.
"""

import logging
import time
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime
from typing import NamedTuple

import sqlalchemy as sa

from driftune.config import Config
from driftune.config.marks import changed_settings
from driftune.errors import LedgerError, RegistryError
from driftune.registry.by_hand import BY_HAND
from driftune.registry.claims import HELD, is_lost
from driftune.registry.ledger import Ledger
from driftune.registry.outbox import withdraw
from driftune.registry.records import Decision, State
from driftune.registry.records.decision import NewDecision, decision_query
from driftune.registry.records.states import word
from driftune.registry.review import ReviewEntry
from driftune.registry.rollback import rollback
from driftune.registry.schema import champions, decisions, insert_new, redecided, reviews
from driftune.registry.stale_champions import stale_champions

log = logging.getLogger("driftune")


class AskedBy(NamedTuple):
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
    longer serves; so does what a person asked for, approved or declined, and what a run adapts
    for, or judges, at the moment.
    """
    if row.state == State.PROMOTED:
        serves = connection.scalar(
            sa.select(champions.c.version).where(champions.c.domain_key == row.domain_key)
        )
        if row.stale is None or serves == row.adapter_version:
            return f"its challenger became version {row.adapter_version}"
    elif (said := _said_of(connection, row)) is not None:
        return said
    if row.state not in HELD or row.lease_until is None:
        return None
    lost = connection.scalar(
        sa.select(decisions.c.id).where(decisions.c.id == row.id, is_lost(connection))
    )
    return None if lost else "a run is at work on it; run this again when that has ended"


def _said_of(connection: sa.Connection, row: Decision) -> str | None:
    """What a person said of a decision, in words; None where nobody did."""
    query = sa.select(reviews.c.who, reviews.c.verdict).where(reviews.c.decision_id == row.id)
    said = connection.execute(query).first()
    if said is not None:
        return f"{said.who} {said.verdict} it"
    return "a person asked for it" if row.readable().scores.rule == BY_HAND else None


def replace_decision(
    ledger: Ledger,
    old_id: str,
    again: AskedBy,
    values: NewDecision,
    known: Mapping[str, Collection[str]],
) -> Decision:
    """Write the successor of a decision, which ends as superseded; returns who stands then.

    That is the old one where it has to stay by now, and another run's successor where that was
    first.

    Args:
        ledger: that holds both.
        old_id: the decision that gives way.
        again: who asked for it, and why.
        values: of the successor.
        known: ``known_marks`` of the settings that it was made under.

    Raises:
        LedgerError: when there is no such decision.
    """
    with ledger.write() as connection:
        old = _decision(connection, old_id, locked=True)
        if old is None:
            raise LedgerError(f"decision '{old_id}' is not in the ledger; run the day again")
        # Looked for once the old one is locked: who was first has committed it by then.
        made = _decision(connection, values["id"])
        if made is not None:
            return made
        if (reason := stays(connection, old)) is not None:
            log.info("%s stays as it is: %s", old_id, reason)
            return old
        now = time.time()
        entry = {
            "decision_id": old_id,
            "successor": values["id"],
            "domain_key": old.domain_key,
            "who": again.who,
            "reason": again.why,
            "at": now,
            "state": str(old.state),
            "note": old.note,
        }
        if not insert_new(connection, redecided, entry):
            own = redecided.c.decision_id == old_id
            first = connection.scalar(sa.select(redecided.c.successor).where(own))
            log.info("%s was decided again as %s already", old_id, first)
            return _decision(connection, str(first)) or old
        if old.state != State.PROMOTED:
            end = {"state": State.SUPERSEDED.value, "owner": None, "lease_until": None}
            note = _note(again, what_changed(old, known), now)
            gone = decisions.update().where(decisions.c.id == old_id)
            connection.execute(gone.values(**end, note=note, updated_at=now))
            withdraw(connection, "alert", old_id)
            withdraw(connection, "threshold", old_id)
        row, _ = ledger.decide_within(connection, values)
        return row


def _decision(
    connection: sa.Connection, decision_id: str, *, locked: bool = False
) -> Decision | None:
    query = decision_query().where(decisions.c.id == decision_id)
    found = connection.execute(query.with_for_update() if locked else query).mappings()
    return next(map(Decision.of, found), None)


def _note(again: AskedBy, changed: str | None, now: float) -> str:
    at = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M")
    why = f" ({again.why})" if again.why else ""
    return f"decided again by {again.who} on {at} UTC: {changed}{why}"


def what_changed(row: Decision, known: Mapping[str, Collection[str]]) -> str | None:
    """What speaks for making a decision again, in words; None where nothing does.

    ``known``: ``known_marks`` of the settings that it would be made under.
    """
    before = row.readable().scores.settings
    if not before:
        return "an earlier release did not keep its settings"
    if names := changed_settings(before, known):
        return f"{', '.join(names)} changed"
    return None if row.stale is None else "a day that it used was delivered anew"


def take_back_stale(config: Config, ledger: Ledger, day: date, again: AskedBy) -> list[str]:
    """Take back the champions of the day's decisions that rest on a day delivered anew since.

    The version before each serves then, and the day can be decided for its domain again. One goes
    on serving where a decision about a later day, which was or may become adapted for, would
    supersede the new one: nothing would be trained in its place. Returns a line for each that was
    taken back; one that another run has taken back meanwhile is left out.
    """
    lines = []
    for key, each in stale_champions(ledger).items():
        if each.day != day.isoformat():
            continue
        if each.newer is not None:
            log.warning(
                "%s: version %d is stale and goes on serving: %s",
                each.domain,
                each.version,
                each.remedy,
            )
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
            "verdict": f"decided again as {row.successor}" + _was(row.state),
            "who": row.who,
            "why": row.reason,
        }
        for row in rows
    ]


def _was(state: str | None) -> str:
    """What a decision was before; nothing where an earlier release did not keep it."""
    return "" if state is None else f" (was {word(state)})"
