"""Decisions by what is asked of them: of a day, by id, behind a version, in a few figures."""

import math
from collections.abc import Collection, Iterable
from datetime import date
from typing import Any, NamedTuple

import sqlalchemy as sa

from driftune.errors import DriftuneError
from driftune.registry.claims import HELD, is_lost
from driftune.registry.indexes import is_asked, is_open
from driftune.registry.ledger import Ledger
from driftune.registry.newest import OLDEST_FIRST, age
from driftune.registry.records import Decision, State
from driftune.registry.records.decision import decision_query
from driftune.registry.records.states import QUIET
from driftune.registry.schema import decisions

# Ids of one query: databases take some ten thousand values.
AT_ONCE = 1000


class Decided(NamedTuple):
    """A decision: columns of the ledger, and from its JSON the gate's ``gain``, the champion's
    ``auc`` on the day, and which thresholds alerted (``alert``); None where it has no such."""

    id: str
    domain: str
    domain_key: str
    day: str
    revision: int
    state: str
    score: float | None
    champion_version: int
    adapter_version: int | None
    gain: float | None
    auc: float | None
    alert: str | None = None


class JudgedMetric(NamedTuple):
    """A judged decision's metric of both sides; None where its gate report lacks it."""

    domain_key: str
    state: str
    champion: float | None
    challenger: float | None


# Of a day: how many decisions it has, and the sum of the times at which each last changed: a clock
# that was set back changes it, too.
Stamp = tuple[int, float]


def decisions_of_day(ledger: Ledger, day: date) -> list[Decision]:
    """The day's decisions by domain key, oldest first."""
    return ledger.decisions(decisions.c.day == day.isoformat())


def told_of_day(ledger: Ledger, day: date) -> list[tuple[Decision, str | None]]:
    """The day's decisions, as ``decisions_of_day``, each with its rule; without the documents of
    those that asked for nothing, which are most.
    """
    light = decision_query(documents=False).add_columns(decisions.c.rule)
    order = (decisions.c.domain_key, *OLDEST_FIRST)
    rows = ledger.read(light.where(decisions.c.day == day.isoformat()).order_by(*order))
    quiet = {row.id for row in rows if row.rule is not None and row.state in QUIET}
    whole = decisions_by_id(ledger, [row.id for row in rows if row.id not in quiet])
    told: list[tuple[Decision, str | None]] = []
    for row in rows:
        own = whole.get(row.id)
        if own is None:
            told.append((Decision.of_row(row), row.rule or None))
        else:
            own = own.readable()
            told.append((own, own.scores.rule))
    return told


def decision_ids(ledger: Ledger, day: date) -> set[str]:
    """The ids of the day's decisions, but for those that ended in an error: they are made anew."""
    query = sa.select(decisions.c.id).where(
        decisions.c.day == day.isoformat(), decisions.c.state != State.ERROR.value
    )
    return {row.id for row in ledger.read(query)}


def decisions_by_id(ledger: Ledger, ids: Collection[str]) -> dict[str, Decision]:
    """Whole decisions by id; those that the ledger lacks are left out."""
    wanted = list(ids)
    return {
        row.id: row
        for start in range(0, len(wanted), AT_ONCE)
        for row in ledger.decisions(decisions.c.id.in_(wanted[start : start + AT_ONCE]))
    }


def decision_behind(ledger: Ledger, key: str, version: int) -> Decision | None:
    """The decision that brought an adapter version; None where the ledger lacks either."""
    record = ledger.adapter(key, version)
    if record is None:
        return None
    return next(iter(ledger.decisions(decisions.c.id == record.decision_id)), None)


def is_decided(ledger: Ledger, day: date, revision: int) -> bool:
    """Whether drift was decided for a day in its revision, for every domain without an error."""
    query = sa.select(decisions.c.state).where(
        decisions.c.day == day.isoformat(), decisions.c.revision == revision
    )
    states = {row.state for row in ledger.read(query.distinct())}
    return bool(states) and State.ERROR not in states


def require_decided(ledger: Ledger, day: date) -> None:
    """See that no domain's newest decision of a day ended in an error.

    Raises:
        DriftuneError: naming the domains and what went wrong.
    """
    fault = sa.select(decisions.c.state).where(
        decisions.c.day == day.isoformat(), decisions.c.state == State.ERROR.value
    )
    if ledger.one(fault.limit(1)) is None:
        return
    newest = {row.domain_key: row for row, _ in told_of_day(ledger, day)}
    wrong = [
        f"{row.domain} ({row.sentence})" for row in newest.values() if row.state == State.ERROR
    ]
    if wrong:
        raise DriftuneError(
            f"{day}: {len(wrong)} of {len(newest)} domains could not be decided: "
            f"{'; '.join(wrong)}; the others were; correct that and run driftune run --day {day}"
        )


def is_decided_since(ledger: Ledger, day: date) -> bool:
    """Whether drift was decided for a day, or one after it."""
    query = sa.select(decisions.c.id).where(decisions.c.day >= day.isoformat())
    return bool(ledger.read(query.limit(1)))


def open_decisions(ledger: Ledger) -> int:
    """How many decisions wait for approval, an adaptation or a look, or are being adapted."""
    query = sa.select(sa.func.count()).where(is_open())
    ((count,),) = ledger.read(query)
    return int(count)


def held_decisions(ledger: Ledger) -> set[str]:
    """Ids of the decisions that a run holds, and whose claim is not lost."""
    with ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        lost = is_lost(connection)
    held = (
        is_open(),
        decisions.c.state.in_(HELD),
        decisions.c.lease_until.is_not(None),
        sa.not_(lost),
    )
    return {str(row[0]) for row in ledger.read(sa.select(decisions.c.id).where(*held))}


def judged_metrics(ledger: Ledger, metric: str) -> list[JudgedMetric]:
    """A metric of champion and challenger in all gate reports, by day, then last change."""
    sides = [decisions.c.gate[(side, metric)].as_float() for side in ("champion", "challenger")]
    query = sa.select(decisions.c.domain_key, decisions.c.state, *sides)
    query = query.where(is_asked(), decisions.c.gate.is_not(None))
    rows = ledger.read(query.order_by(decisions.c.day, decisions.c.updated_at))
    return [JudgedMetric(*row) for row in rows]


def day_stamps(ledger: Ledger) -> dict[str, Stamp]:
    """By day (ISO) a stamp that changes with its decisions."""
    day = decisions.c.day
    query = sa.select(day, sa.func.count(), sa.func.sum(decisions.c.updated_at))
    return {row[0]: (row[1], row[2]) for row in ledger.read(query.group_by(day))}


def decided_on(ledger: Ledger, days: Collection[str]) -> list[Decided]:
    """The decisions of days (ISO) in a few figures, of each day the one that counts last."""
    columns = [decisions.c[name] for name in Decided._fields[:-3]]
    query = sa.select(*columns).where(decisions.c.day.in_(days)).order_by(*OLDEST_FIRST)
    gain = sa.func.coalesce(
        decisions.c.gate["posterior"]["mean"].as_float(),
        decisions.c.gate["difference"]["estimate"].as_float(),
    )
    auc = decisions.c.scores["told"]["auc"]["to"].as_float()
    alert = decisions.c.scores["alert"].as_string()
    try:
        # The database takes two figures out of kilobytes of JSON several times as fast.
        rows: Iterable[Any] = ledger.read(query.add_columns(gain, auc, alert))
    except sa.exc.DBAPIError:
        # A figure that is not a number is no JSON to it.
        whole = ledger.decisions(decisions.c.day.in_(days))
        rows = [
            (
                *(getattr(row, name) for name in Decided._fields[:-3]),
                None if row.gate is None else row.gate.gain,
                row.scores.fact("auc").after,
                row.scores.alert,
            )
            for row in sorted(whole, key=age)
        ]
    made = (Decided._make(row) for row in rows)
    return [
        row._replace(score=_number(row.score), gain=_number(row.gain), auc=_number(row.auc))
        for row in made
    ]


def _number(value: float | None) -> float | None:
    usable = isinstance(value, int | float) and math.isfinite(value)
    return float(value) if usable and value is not None else None
