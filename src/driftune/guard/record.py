"""Records of the checks after promotion: one row per day, champion and model it was set against."""

from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa

from driftune.guard.evidence import Reading
from driftune.registry.ledger import Ledger
from driftune.registry.schema import AS_OF, champions, checks


@dataclass(frozen=True)
class Check:
    """A check: version ``version``, which served, against ``against`` on the rows of a day.

    ``as_of``: the day whose run made it, later than ``day`` where labels take time.
    ``estimate``: AUC of the first less that of the second, ``error`` its standard error (None when
    the day cannot be judged); ``pooled…``: all days since promotion; ``restored``: the version
    that a rollback for this check's sake put in its place.
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


_FIELDS = [
    AS_OF if name == "as_of" else checks.c[name].label(name) for name in Check.__dataclass_fields__
]


def checks_of(ledger: Ledger, day: date) -> list[Check]:
    """The day's checks in its newest revision, by domain's name, then the model set against."""
    return _newest(ledger, checks.c.day == day.isoformat())


def checks_as_of(ledger: Ledger, day: date) -> list[Check]:
    """The checks that the day's run made, whichever days' labels had matured by then."""
    return _newest(ledger, AS_OF.element == day.isoformat())


def all_checks(ledger: Ledger) -> list[Check]:
    """Every check, of every revision of its day, oldest day first."""
    query = sa.select(*_FIELDS).order_by(checks.c.day, checks.c.revision)
    return [Check(**row._mapping) for row in ledger.read(query)]


def unannounced(ledger: Ledger) -> list[Check]:
    """The checks that took a champion back and whose event is still to be emitted."""
    query = sa.select(*_FIELDS).where(checks.c.announced.is_(False))
    rows = ledger.read(query.order_by(checks.c.checked_at, checks.c.domain_key))
    return [Check(**row._mapping) for row in rows]


def mark_announced(ledger: Ledger, check: Check) -> None:
    """Keep that the event of a rollback was emitted."""
    identity = ("day", "revision", "domain_key", "version", "against")
    same = [checks.c[name] == getattr(check, name) for name in identity]
    with ledger.write() as connection:
        connection.execute(checks.update().where(*same).values(announced=True))


def _newest(ledger: Ledger, wanted: sa.ColumnElement[bool]) -> list[Check]:
    other = checks.alias()
    newest = sa.select(sa.func.max(other.c.revision)).where(other.c.day == checks.c.day)
    query = (
        sa.select(*_FIELDS)
        .where(wanted, checks.c.revision == newest.scalar_subquery())
        .order_by(checks.c.day, checks.c.domain, checks.c.against)
    )
    return [Check(**row._mapping) for row in ledger.read(query)]


def readings_of(ledger: Ledger, day: date) -> dict[tuple[str, int], list[Reading]]:
    """Readings of days before ``day`` under the present champions, oldest first.

    By domain key and version set against; of a day that was delivered anew its newest revision.
    What a version showed before the pointer came to it (again) is not counted.
    """
    serves = sa.and_(
        champions.c.domain_key == checks.c.domain_key,
        champions.c.version == checks.c.version,
        champions.c.switched_at <= checks.c.checked_at,
    )
    names = ("domain_key", "against", "day", "estimate", "error")
    rows = ledger.read(
        sa.select(*(checks.c[name] for name in names))
        .join(champions, serves)
        .where(checks.c.day < day.isoformat(), checks.c.estimate.is_not(None))
        .order_by(checks.c.day, checks.c.revision)
    )
    newest = {
        (row.domain_key, row.against, row.day): Reading(row.estimate, row.error) for row in rows
    }
    found: dict[tuple[str, int], list[Reading]] = {}
    for (key, against, _), reading in newest.items():
        found.setdefault((key, against), []).append(reading)
    return found
