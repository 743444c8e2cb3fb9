"""The ledger: days, drift decisions and the champion pointer, in one SQL database.

States of a decision: ``stable`` and ``insufficient`` end where drift was measured; ``review`` waits
for a person's approval; ``pending`` waits for an adaptation, ``claimed`` is being adapted (under a
lease), ``waiting`` has a challenger that is judged again as rows come in (under a lease while it
is); ``promoted``, ``rejected``, ``undecided`` (the gate never had enough data), ``superseded`` (a
newer decision, champion or delivery overtook it, or other settings), ``declined`` (by a person) and
``failed`` end it.
"""

import time
from collections.abc import Mapping
from datetime import date
from typing import Any, Unpack

import sqlalchemy as sa

from driftune.config import Config
from driftune.errors import LedgerError, RegistryError
from driftune.registry.claims import ATTEMPTS, is_held, is_lost, out_of_date, take
from driftune.registry.database import Database
from driftune.registry.indexes import is_open
from driftune.registry.moments import moment
from driftune.registry.newest import OLDEST_FIRST
from driftune.registry.outbox import queue
from driftune.registry.records import Decision
from driftune.registry.records.decision import DecisionEnd, NewDecision, decision_query, written
from driftune.registry.rows import AdapterRecord, DayRecord, Pointer, Switch, SwitchRecord
from driftune.registry.schema import adapters, champions, days, decisions, insert_new, switches
from driftune.registry.stale import give_way, mark_stale
from driftune.registry.stale_champions import tell_stale

BASE = 0
# The action of a switch that goes back; every other one is a promotion.
ROLLBACK = "rollback"


class Ledger(Database):
    """Access to the ledger; close it, or use it as a context manager."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.lease_seconds = config.registry.lease_minutes * 60
        self.zone = config.zone
        self.told = config.notify.kinds

    # Days

    def day(self, day: date) -> DayRecord | None:
        """The record of a day that is in the lake."""
        row = self.one(sa.select(days).where(days.c.day == day.isoformat()))
        return None if row is None else DayRecord(**row._mapping)

    def days(self) -> list[DayRecord]:
        """All recorded days, in order."""
        rows = self.read(sa.select(days).order_by(days.c.day))
        return [DayRecord(**row._mapping) for row in rows]

    def record_day(self, day: date, *, content_hash: str, **values: Any) -> int:
        """Record a committed day; a changed content gets the next revision, which is returned.

        Decisions that used the earlier content are marked in the same transaction. Of the same
        content the newest values count.
        """
        identity = days.c.day == day.isoformat()
        record = {"content_hash": content_hash, "recorded_at": time.time(), **values}
        with self.write() as connection:
            if insert_new(connection, days, {"day": day.isoformat(), "revision": 1, **record}):
                return 1
            row = connection.execute(sa.select(days).where(identity).with_for_update()).one()
            if row.content_hash == content_hash:
                connection.execute(days.update().where(identity).values(**values))
                return int(row.revision)
            revision = int(row.revision) + 1
            connection.execute(days.update().where(identity).values(revision=revision, **record))
            marked = mark_stale(connection, day, revision, self.zone)
            tell_stale(connection, self.tell, marked, day, revision)
            return revision

    # Decisions

    def decide(self, **values: Unpack[NewDecision]) -> tuple[Decision, bool]:
        """Write a drift decision once; returns it and whether this call wrote it.

        It takes the place of one that ended in an error.
        Older ones of the domain that still wait for approval give way to one that asks again.
        """
        with self.write() as connection:
            return self.decide_within(connection, values)

    def decide_within(
        self, connection: sa.Connection, values: NewDecision
    ) -> tuple[Decision, bool]:
        """As ``decide``, inside the caller's transaction.

        One that is out of date already is not announced: nothing will be adapted for it.
        """
        identity = decisions.c.id == values["id"]
        now = moment(connection, values["domain_key"], values["day"])
        row = {"attempts": 0, "decided_at": now, "updated_at": now, **written(values)}
        failed = sa.and_(identity, decisions.c.state == "error")
        new = insert_new(connection, decisions, row) or bool(
            connection.execute(decisions.update().where(failed).values(**row)).rowcount
        )
        made = connection.execute(decision_query().where(identity)).one()
        found = Decision.of(made._mapping)
        alert = values["scores"].alert
        if new and alert is not None:
            self.tell(connection, "threshold", values["id"], **_about(row), rule=alert)
        if new and values["state"] in ("review", "pending"):
            give_way(connection, row)
            if out_of_date(connection, found) is None:
                self.tell(
                    connection,
                    "alert",
                    values["id"],
                    **_about(row),
                    state=row["state"],
                    rule=values["scores"].rule,
                    score=row["score"],
                    sentence=row["sentence"],
                )
        return found, new

    def decision(self, decision_id: str) -> Decision:
        """A decision by id.

        Raises:
            LedgerError: when there is none.
        """
        rows = self.decisions(decisions.c.id == decision_id)
        if not rows:
            raise LedgerError(
                f"decision '{decision_id}' is not in the ledger; see driftune status --json"
            )
        return rows[0]

    def decisions(self, *conditions: sa.ColumnElement[bool]) -> list[Decision]:
        """Decisions by day, then domain, oldest first."""
        order = (decisions.c.day, decisions.c.domain_key, *OLDEST_FIRST)
        query = decision_query().where(*conditions).order_by(*order)
        return [Decision.of_row(row) for row in self.read(query)]

    def claim(self, decision_id: str) -> str | None:
        """Claim a decision that is free (see ``waiting``); None when there is nothing to adapt.

        See ``claims.take`` for what it ends instead.
        """
        with self.write() as connection:
            free = decision_query().where(decisions.c.id == decision_id, _free(connection))
            found = connection.execute(free.with_for_update()).mappings()
            row = next(map(Decision.of, found), None)
            if row is None:
                return None
            owner = take(connection, row, "claimed", self.lease_seconds)
            self.tell_failed(connection, decision_id)
            return owner

    def renew(self, decision_id: str, owner: str) -> None:
        """Lengthen the lease of a claim, from now on.

        Raises:
            LedgerError: when the claim is no longer the caller's.
        """
        with self.write() as connection:
            result = connection.execute(
                decisions.update()
                .where(is_held(decision_id, owner))
                .values(lease_until=time.time() + self.lease_seconds)
            )
        if result.rowcount != 1:
            raise LedgerError(
                f"decision '{decision_id}' is no longer claimed by this run; another took it over"
            )

    def release(
        self, decision_id: str, owner: str, note: str, *, final: bool, tried: bool = True
    ) -> str:
        """Give a claim back; ``final``, or after ``ATTEMPTS``, the decision ends as failed.

        ``tried``: whether the claim counts as one of them.
        """
        limit = 0 if final else ATTEMPTS
        attempts = decisions.c.attempts - (0 if tried else 1)
        with self.write() as connection:
            connection.execute(
                decisions.update()
                .where(is_held(decision_id, owner))
                .values(
                    state=sa.case(
                        (attempts >= limit, "failed"),
                        (decisions.c.state == "waiting", "waiting"),
                        else_="pending",
                    ),
                    attempts=attempts,
                    owner=None,
                    lease_until=None,
                    note=note,
                    updated_at=time.time(),
                )
            )
            self.tell_failed(connection, decision_id)
        return str(self.decision(decision_id).state)

    def waiting(self, day: date) -> list[Decision]:
        """Decisions up to ``day`` that wait for an adaptation.

        These are the pending ones, and claimed ones whose lease has expired or whose owner was a
        process of this machine that has ended.
        """
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            free = _free(connection)
        return self.decisions(decisions.c.day <= day.isoformat(), free)

    def free_lost(self) -> list[str]:
        """Let decisions wait again whose claim is lost (see ``is_lost``); returns their ids."""
        with self.write() as connection:
            lost = sa.select(decisions.c.id).where(is_lost(connection)).order_by(decisions.c.id)
            found = list(connection.scalars(lost.with_for_update()))
            connection.execute(
                decisions.update()
                .where(decisions.c.id.in_(found))
                .values(
                    state=sa.case((decisions.c.state == "claimed", "pending"), else_="waiting"),
                    owner=None,
                    lease_until=None,
                    updated_at=time.time(),
                )
            )
        return found

    def finish(
        self,
        connection: sa.Connection,
        decision_id: str,
        owner: str,
        state: str,
        **values: Unpack[DecisionEnd],
    ) -> None:
        """End a claim in ``state`` inside the caller's transaction.

        Raises:
            LedgerError: when the claim is no longer the caller's.
        """
        # Why an attempt before did not end is no longer news.
        told = {"note": None, **written(values)}
        if state == "waiting":
            # Each look has its own attempts.
            told["attempts"] = 0
        result = connection.execute(
            decisions.update()
            .where(is_held(decision_id, owner))
            .values(state=state, lease_until=None, updated_at=time.time(), **told)
        )
        if result.rowcount != 1:
            raise LedgerError(
                f"decision '{decision_id}' is no longer claimed by this run; another took it over"
            )

    def override(
        self, connection: sa.Connection, decision_id: str, state: str, version: int, note: str
    ) -> None:
        """Mark an ended decision as promoted by hand inside the caller's transaction.

        Raises:
            LedgerError: when its state is no longer ``state``.
        """
        result = connection.execute(
            decisions.update()
            .where(decisions.c.id == decision_id, decisions.c.state == state)
            .values(state="promoted", adapter_version=version, note=note, updated_at=time.time())
        )
        if result.rowcount != 1:
            raise LedgerError(f"decision '{decision_id}' changed meanwhile; look at it again")

    # Messages

    def tell(self, connection: sa.Connection, kind: str, key: str, **about: Any) -> None:
        """Queue a message with what it tells, in its transaction; nothing if nobody asked for it.

        See ``outbox.queue`` for the arguments.
        """
        if kind in self.told:
            queue(connection, kind, key, **about)

    def announce(self, kind: str, key: str, **about: Any) -> None:
        """Queue the message of something that happened outside the ledger."""
        if kind in self.told:
            with self.write() as connection:
                queue(connection, kind, key, **about)

    def tell_failed(self, connection: sa.Connection, decision_id: str) -> None:
        """Queue the message of a decision, if it has failed, in the transaction that ended it."""
        if "failure" not in self.told:
            return
        failed = sa.and_(decisions.c.id == decision_id, decisions.c.state == "failed")
        row = connection.execute(sa.select(decisions).where(failed)).one_or_none()
        if row is not None:
            todo = "remove the cause; the domain's next drift is adapted for again"
            about = _about(row._asdict())
            queue(connection, "failure", decision_id, **about, error=row.note or "", todo=todo)

    # Champions

    def champion_version(self, key: str) -> int:
        """The champion's version of a domain; 0 is the frozen base."""
        row = self.one(sa.select(champions).where(champions.c.domain_key == key))
        return int(row.version) if row else BASE

    def champions(self) -> dict[str, Pointer]:
        """Champion pointers by domain key."""
        rows = self.read(sa.select(champions))
        return {row.domain_key: Pointer(**row._mapping) for row in rows}

    def adapter(self, key: str, version: int) -> AdapterRecord | None:
        """The record of an adapter version."""
        row = self.one(
            sa.select(adapters).where(adapters.c.domain_key == key, adapters.c.version == version)
        )
        return None if row is None else AdapterRecord(**row._mapping)

    def versions(self, key: str) -> list[AdapterRecord]:
        """All adapter versions of a domain, in order."""
        query = sa.select(adapters).where(adapters.c.domain_key == key)
        rows = self.read(query.order_by(adapters.c.version))
        return [AdapterRecord(**row._mapping) for row in rows]

    def add_adapter(self, connection: sa.Connection, **values: Any) -> None:
        """Record an adapter version inside the caller's transaction.

        Raises:
            RegistryError: when another run has taken the version's number.
        """
        if not insert_new(connection, adapters, {"created_at": time.time(), **values}):
            raise RegistryError(
                f"{values['domain']}: version {values['version']} was taken by another run"
            )

    def switch(self, connection: sa.Connection, switch: Switch) -> None:
        """Move the champion pointer from ``expected`` to ``version`` (compare-and-swap).

        Raises:
            RegistryError: when the pointer stands elsewhere; nothing has changed then.
        """
        key, expected = switch.key, switch.expected
        now = moment(connection, key)
        values = {
            "version": switch.version,
            "decision_id": switch.decision_id,
            "switched_at": now,
        }
        moved = connection.execute(
            champions.update()
            .where(champions.c.domain_key == key, champions.c.version == expected)
            .values(**values)
        ).rowcount
        first = {"domain_key": key, "domain": switch.domain, **values}
        if not moved and not (expected == BASE and insert_new(connection, champions, first)):
            pointer = sa.select(champions.c.version).where(champions.c.domain_key == key)
            found = connection.scalar(pointer) or BASE
            raise RegistryError(
                f"{switch.domain}: champion is version {found}, not {expected}; another run moved "
                "it"
            )
        connection.execute(
            switches.insert().values(
                domain_key=key,
                domain=switch.domain,
                action=switch.action,
                from_version=expected,
                to_version=switch.version,
                decision_id=switch.decision_id,
                who=switch.who,
                reason=switch.reason,
                at=now,
                data_version=switch.data_version,
                backbone=switch.backbone,
                data_day=switch.data_day,
            )
        )

    def switches(self, key: str | None = None) -> list[SwitchRecord]:
        """The audit of champion switches, oldest first."""
        query = sa.select(switches).order_by(switches.c.id)
        rows = self.read(query if key is None else query.where(switches.c.domain_key == key))
        return [SwitchRecord(**row._mapping) for row in rows]


def _about(row: Mapping[str, Any]) -> dict[str, Any]:
    """What the message of a decision is about."""
    return {name: row[name] for name in ("domain", "domain_key", "day")} | {"decision": row["id"]}


def _free(connection: sa.Connection) -> sa.ColumnElement[bool]:
    """Decisions that wait for an adaptation."""
    lost = sa.and_(decisions.c.state == "claimed", is_lost(connection))
    return sa.and_(is_open(), sa.or_(decisions.c.state == "pending", lost))
