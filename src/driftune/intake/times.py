"""The times of a delivery: how they are read, and what is to be said of how they are written."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from driftune.config import Config
from driftune.config.columns import TimeRole
from driftune.lake import roles, times
from driftune.lake.clock import Clock, Span
from driftune.lake.derived import HAS_OFFSET, INSTANT, WALL
from driftune.lake.duck import Connection, one_row
from driftune.lake.evolution import Change
from driftune.lake.types import is_number

UNITS = {
    "timestamp": "timestamps",
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
}
# Of the rows: with more times than these that are wrong, all are meant otherwise.
MOST = 0.5


@dataclass(frozen=True)
class Times:
    """The times of a day's relation ``source``: ``value`` is their SQL over it, of type ``kind``.

    ``derived`` is a relation like ``source`` that holds them as read with the texts, where there is
    one (see ``lake.derived``). ``changes`` is what the day's record says of them.
    """

    role: TimeRole
    clock: Clock
    source: str
    value: str
    kind: str
    offsets: times.Offsets
    derived: str | None = None
    changes: tuple[Change, ...] = ()

    @property
    def wall(self) -> str | None:
        """SQL of local times without an offset; None where there is none."""
        wall = times.wall_clock(self.role, self.value, self.kind, self.offsets)
        return wall if wall is None or self.derived is None else WALL

    @property
    def counted(self) -> str:
        """The relation over which ``wall`` is SQL."""
        return self.derived or self.source

    @property
    def relation(self) -> str:
        """``source`` with the columns that ``event_time`` needs: a text is parsed but once."""
        if self.derived is not None:
            return self.derived
        instant = times.instant(self.role, self.value, self.kind, self.offsets)
        parsed = {WALL: self.wall, INSTANT: instant}
        columns = [f"{sql or 'NULL::TIMESTAMP'} AS {name}" for name, sql in parsed.items()]
        return f"(SELECT *, {', '.join(columns)} FROM {self.source}) AS raw"

    @property
    def event_time(self) -> str:
        """SQL of the instants (TIMESTAMP in UTC) over ``relation``; null where unreadable."""
        if self.wall is None:
            return INSTANT
        zoned = self.clock.utc(WALL)
        return f"coalesce({INSTANT}, {zoned})" if self.offsets == "some" else zoned

    @property
    def is_parsed(self) -> bool:
        """Whether they are parsed from texts, so that reading them again and again is dear."""
        parsed = self.role.format is not None or times.is_text(self.role, self.kind)
        return parsed and self.derived is None

    @property
    def as_said(self) -> str:
        """What ``columns.time`` says that they are."""
        return UNITS[self.role.unit] if self.role.format is None else repr(self.role.format)


def look_at_times(
    con: Connection, config: Config, clock: Clock, source: str, derived: str | None = None
) -> Times:
    """See how the day's times are written.

    Offsets are looked for in texts alone, and times that a clock skips or shows twice on the few
    days that have such.
    """
    role = config.columns.time
    value = roles.expression(role.role)
    kind = str(one_row(con, f"DESCRIBE SELECT {value} AS value FROM {source}")[1])
    found = Times(role, clock, source, value, kind, "none", derived)
    if not times.is_text(role, kind):
        return replace(found, changes=tuple(_shifted(con, found)))
    marked = f"count(*) FILTER ({times.offset_of(value) if derived is None else HAS_OFFSET})"
    given, zoned = one_row(con, f"SELECT count({value}), {marked} FROM {found.counted}")
    if zoned:
        found = replace(found, offsets="all" if zoned == given else "some")
    mixed = _mixed(con, config, found, int(zoned))
    return replace(found, changes=(*mixed, *_shifted(con, found)))


def _mixed(con: Connection, config: Config, found: Times, zoned: int) -> Iterator[Change]:
    if found.offsets != "some":
        return
    (plain,) = one_row(con, f"SELECT count({found.wall}) FROM {found.counted}")
    if plain:
        yield Change.of(
            "time_mixed",
            f"All times have an offset or none has: {zoned:,} of {zoned + plain:,} times have an "
            f"offset, the others are read in {config.timezone}.",
            min(zoned, plain),
        )


def _shifted(con: Connection, found: Times) -> Iterator[Change]:
    """Times without an offset that the clock showed twice, and times that it never showed."""
    for rule, spans, expected, what in (
        (
            "time_ambiguous",
            found.clock.repeated,
            "No time comes twice",
            "came twice, the clock was set back; each is read as the later one, "
            "an offset would say which it is",
        ),
        (
            "time_missing_hour",
            found.clock.skipped,
            "The clock shows every time",
            "were skipped, the clock was set forward; each is read as if it had not been yet",
        ),
    ):
        rows = _within(con, found, spans)
        if rows:
            listed = " and ".join(map(_span, spans))
            yield Change.of(rule, f"{expected}: {rows:,} times of {listed} {what}.", rows)


def _within(con: Connection, found: Times, spans: tuple[Span, ...]) -> int:
    if not spans or found.wall is None:
        return 0
    within = " OR ".join(
        f"wall >= '{first.isoformat()}'::TIMESTAMP AND wall < '{last.isoformat()}'::TIMESTAMP"
        for first, last in spans
    )
    walls = f"(SELECT {found.wall} AS wall FROM {found.counted})"
    return int(one_row(con, f"SELECT count(*) FROM {walls} WHERE {within}")[0])


def _span(span: Span) -> str:
    first, last = span
    until = "24:00" if last.date() > first.date() else f"{last:%H:%M}"
    return f"{first:%H:%M} to {until}"


def misread_times(con: Connection, found: Times) -> list[Change]:
    """Where most of the tallied rows are of other days or unreadable by their time: what else the
    times look like, or why they cannot be read."""
    rows, unread, other = one_row(
        con,
        """
        SELECT sum(n), coalesce(sum(n) FILTER (contains(reasons, 'time_unreadable')), 0),
               coalesce(sum(n) FILTER (contains(reasons, 'other_day')), 0)
        FROM tally
        """,
    )
    if not rows or unread + other <= MOST * rows:
        return []
    hint = _other_unit(con, found, rows)
    if hint is None and unread > MOST * rows:
        hint = _unreadable(con, found)
    if hint is None:
        return []
    return [Change.of("time_unit", f"Times are as columns.time says: {hint}.", unread + other)]


def _other_unit(con: Connection, found: Times, rows: int) -> str | None:
    """The unit that puts most of the times on the day, and what to do."""
    for unit, name in UNITS.items():
        if unit == found.role.unit and found.role.format is None:
            continue
        role = found.role.model_copy(update={"unit": unit, "format": None})
        other = replace(found, role=role, offsets="some", derived=None)
        holds = other.clock.holds("event_time")
        instants = f"(SELECT {other.event_time} AS event_time FROM {other.relation})"
        (here,) = one_row(con, f"SELECT count(*) FILTER ({holds}) FROM {instants}")
        if here > MOST * rows:
            leave = " and leave out its format" if found.role.format else ""
            said = f"these look like {name}, not {found.as_said}"
            return f"{said}; set columns.time.unit: {unit}{leave}"
    return None


def _unreadable(con: Connection, found: Times) -> str | None:
    """Why the times cannot be read, and what to do; None where no value is given."""
    instants = f"(SELECT {found.value} AS value, {found.event_time} AS time FROM {found.relation})"
    shown = "left(min(value::VARCHAR), 40)"
    (example,) = one_row(con, f"SELECT {shown} FROM {instants} WHERE time IS NULL")
    if example is None:
        return None
    if found.role.format is not None:
        return f"'{example}' is not written as {found.as_said}; correct columns.time.format"
    if found.role.unit == "timestamp" and is_number(found.kind):
        return f"'{example}' ({found.kind}) is no time; set columns.time.unit or format"
    if found.role.unit == "timestamp":
        return f"'{example}' is no time; set columns.time.format, such as '%d.%m.%Y %H:%M'"
    return f"'{example}' ({found.kind}) is no number of {found.as_said}; correct columns.time.unit"
