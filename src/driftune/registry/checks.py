"""Checks of champions after promotion: one row per day, champion and model it was set against."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import NamedTuple

import sqlalchemy as sa

from driftune.registry.ledger import Ledger
from driftune.registry.moments import moment
from driftune.registry.rows import Switch
from driftune.registry.schema import AS_OF, champions, checks, days, insert_new


@dataclass(frozen=True)
class Check:
    """A check: version ``version``, which served, against ``against`` on the rows of a day.

    ``as_of``: the day whose run made it, later than ``day`` where labels take time.
    ``estimate``: AUC of the first less that of the second, ``error`` its standard error (None when
    the day cannot be judged, or the first gives no numbers); ``pooled…``: all days since promotion;
    ``restored``: the version that a rollback for this check's sake put in its place.
    """

    day: str
    revision: int
    domain_key: str
    domain: str
    version: int
    against: int
    metric: str
    rows: int
    positives: int
    estimate: float | None
    error: float | None
    p: float | None
    pooled: float | None
    pooled_error: float | None
    pooled_p: float | None
    verdict: str
    rule: str
    restored: int | None
    data_version: str
    backbone: str
    as_of: str


class DayDifference(NamedTuple):
    """A day's AUC of the champion less that of another version, and its standard error."""

    domain_key: str
    against: int
    estimate: float
    error: float


_FIELDS = [
    AS_OF if name == "as_of" else checks.c[name].label(name) for name in Check.__dataclass_fields__
]


def checks_of(ledger: Ledger, day: date) -> list[Check]:
    """The day's checks in its newest revision, by domain's name, then the model set against."""
    return _newest(ledger, checks.c.day == day.isoformat())


def checks_as_of(ledger: Ledger, day: date) -> list[Check]:
    """The checks that the day's run made, whichever days' labels had matured by then."""
    return _newest(ledger, _made_on(checks.c.as_of == day.isoformat(), day))


def all_checks(ledger: Ledger) -> list[Check]:
    """Every check, of every revision of its day, oldest day first."""
    query = sa.select(*_FIELDS).order_by(checks.c.day, checks.c.revision)
    return [Check(**row._mapping) for row in ledger.read(query)]


def record_checks(ledger: Ledger, judged: Sequence[Check], back: Switch | None) -> bool:
    """Write a domain's checks of one day, and the rollback they lead to, in one transaction.

    Returns False, and takes no champion back, when another run has checked the day meanwhile.

    Raises:
        RegistryError: when the champion has moved; nothing is written then.
    """
    # Pages read checks, too, and load no torch; only a rollback needs adapters.
    from driftune.registry.rollback import restore

    with ledger.write() as connection:
        # Not before the switch that made it serve: readings count from there.
        now = moment(connection, judged[0].domain_key, judged[0].day)
        for check in judged:
            announced = None if check.restored is None else False
            row = {**asdict(check), "checked_at": now, "announced": announced}
            if not insert_new(connection, checks, row):
                return False
        if back is not None:
            restore(ledger, connection, back)
    return True


def unannounced(ledger: Ledger) -> list[Check]:
    """The checks that took a champion back and whose event is still to be emitted."""
    owed = checks.c.restored.is_not(None), checks.c.announced.is_(False)
    query = sa.select(*_FIELDS).where(*owed)
    rows = ledger.read(query.order_by(checks.c.checked_at, checks.c.domain_key))
    return [Check(**row._mapping) for row in rows]


def mark_announced(ledger: Ledger, check: Check) -> None:
    """Keep that the event of a rollback was emitted."""
    identity = ("day", "revision", "domain_key", "version", "against")
    same = [checks.c[name] == getattr(check, name) for name in identity]
    with ledger.write() as connection:
        connection.execute(checks.update().where(*same).values(announced=True))


def differences_before(ledger: Ledger, day: date) -> list[DayDifference]:
    """What days before ``day`` said of the present champions, oldest first.

    Of a day that was delivered anew, its newest revision. What a version showed before the
    pointer came to it (again) is not counted.
    """
    serves = sa.and_(
        champions.c.domain_key == checks.c.domain_key,
        champions.c.version == checks.c.version,
        champions.c.switched_at <= checks.c.checked_at,
    )
    rows = ledger.read(
        sa.select(checks.c.day, *(checks.c[name] for name in DayDifference._fields))
        .join(champions, serves)
        .where(checks.c.day < day.isoformat(), checks.c.estimate.is_not(None))
        .order_by(checks.c.day, checks.c.revision)
    )
    newest = {(row.domain_key, row.against, row.day): row for row in rows}
    return [DayDifference(*row[1:]) for row in newest.values()]


def checked_days(ledger: Ledger) -> set[tuple[str, int]]:
    """The days (ISO) and revisions on which any champion was checked."""
    # Day by day along the key: a day has a check of every champion.
    most = sa.select(sa.func.max(days.c.revision)).scalar_subquery()
    numbers = sa.select(sa.literal(1).label("revision")).cte("numbers", recursive=True)
    numbers = numbers.union_all(sa.select(numbers.c.revision + 1).where(numbers.c.revision < most))
    known = sa.exists().where(checks.c.day == days.c.day, checks.c.revision == numbers.c.revision)
    query = sa.select(days.c.day, numbers.c.revision).join_from(
        days, numbers, numbers.c.revision <= days.c.revision
    )
    return {(row.day, row.revision) for row in ledger.read(query.where(known))}


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


def taken_back_between(ledger: Ledger, after: date, until: date) -> set[str]:
    """Domains (keys) whose champion was taken back by runs of days in (``after``, ``until``]."""
    query = sa.select(checks.c.domain_key).where(
        checks.c.restored.is_not(None),
        AS_OF.element > after.isoformat(),
        AS_OF.element <= until.isoformat(),
    )
    return {row.domain_key for row in ledger.read(query)}


def _made_on(made: sa.ColumnElement[bool], day: date) -> sa.ColumnElement[bool]:
    """Checks that a run has made; those of earlier releases do not name theirs: that of the day."""
    unnamed = sa.and_(checks.c.as_of.is_(None), checks.c.day == day.isoformat())
    return sa.or_(made, unnamed)


def _newest(ledger: Ledger, wanted: sa.ColumnElement[bool]) -> list[Check]:
    other = checks.alias()
    newest = sa.select(sa.func.max(other.c.revision)).where(other.c.day == checks.c.day)
    query = (
        sa.select(*_FIELDS)
        .where(wanted, checks.c.revision == newest.scalar_subquery())
        .order_by(checks.c.day, checks.c.domain, checks.c.against)
    )
    return [Check(**row._mapping) for row in ledger.read(query)]
