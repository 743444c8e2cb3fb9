"""The clock of a zone on a calendar day: which instants are of the day, and the clock's hour.

On most days local time is ahead of UTC by the same seconds from midnight to midnight. On the others
the clock is set back or forward, by an hour, half an hour or a whole day, at any time of the day:
then a day has other than 24 hours, and its instants need not even follow one another.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from driftune.config import Config
from driftune.lake.duck import literal

DAY, HOUR, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(seconds=1)
# Local time is ahead of or behind UTC by less than this in every zone, local mean times included.
FARTHEST = timedelta(hours=16)
Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Shift:
    """A change of the clock: at the instant ``at`` (naive UTC) from an offset to another one
    (seconds ahead of UTC)."""

    at: datetime
    before: int
    after: int

    @property
    def local(self) -> Span:
        """The local times that it skips (when set forward) or that come twice (when set back)."""
        ends = (self.at + timedelta(seconds=offset) for offset in (self.before, self.after))
        first, last = sorted(ends)
        return first, last


@dataclass(frozen=True)
class Clock:
    """The clock of ``zone`` on ``day``.

    ``start`` and ``end`` are the day's first instant and the first one after it (naive UTC).
    ``shifts`` are those that skip or repeat times of the day, in their order; ``offset`` is how
    many seconds local time is ahead of UTC before the first of them.
    """

    zone: str
    day: date
    start: datetime
    end: datetime
    offset: int
    shifts: tuple[Shift, ...]

    @property
    def skipped(self) -> tuple[Span, ...]:
        """Local times of the day that its clock never showed."""
        return tuple(self._of_day(shift) for shift in self.shifts if shift.after > shift.before)

    @property
    def repeated(self) -> tuple[Span, ...]:
        """Local times of the day that its clock showed twice."""
        return tuple(self._of_day(shift) for shift in self.shifts if shift.after < shift.before)

    @property
    def hours(self) -> tuple[int, ...]:
        """The hours that the clock showed at all."""
        starts = [(hour, datetime.combine(self.day, time(hour))) for hour in range(24)]
        return tuple(
            hour
            for hour, start in starts
            if not any(first <= start and start + HOUR <= last for first, last in self.skipped)
        )

    def utc(self, wall: str) -> str:
        """SQL of the instant (TIMESTAMP in UTC) of a local time (TIMESTAMP) without an offset.

        Of a time that comes twice it is the later one; a skipped one goes on from before the shift.
        """
        local = f"{wall} >= {_timestamp(self.day)} AND {wall} < {_timestamp(self.day + DAY)}"
        whens, offset = [], self.offset
        for shift in self.shifts:
            until = _timestamp(shift.at + timedelta(seconds=shift.after))
            whens.append(f"WHEN {local} AND {wall} < {until} THEN {_behind(wall, offset)}")
            offset = shift.after
        whens.append(f"WHEN {local} THEN {_behind(wall, offset)}")
        # The calendar's own conversion costs ten times a subtraction.
        zoned = f"TRY(timezone('UTC', timezone({literal(self.zone)}, {wall})))"
        return f"CASE {' '.join(whens)} WHEN isfinite({wall}) THEN {zoned} END"

    def seconds(self, instant: str) -> str:
        """SQL of the seconds that the clock is past the day's midnight at an instant in UTC."""
        if not self.shifts:
            return f"date_diff('second', {_timestamp(self.start)}, {instant})"
        whens, offset = [], self.offset
        for shift in self.shifts:
            whens.append(f"WHEN {instant} < {_timestamp(shift.at)} THEN {offset}")
            offset = shift.after
        ahead = f"CASE {' '.join(whens)} ELSE {offset} END"
        return f"(date_diff('second', {_timestamp(self.day)}, {instant}) + {ahead})"

    def holds(self, instant: str) -> str:
        """SQL condition on an instant in UTC to be of the day."""
        if self.shifts:
            return f"{self.seconds(instant)} BETWEEN 0 AND {int(DAY.total_seconds()) - 1}"
        return f"{instant} >= {_timestamp(self.start)} AND {instant} < {_timestamp(self.end)}"

    def _of_day(self, shift: Shift) -> Span:
        midnight = datetime.combine(self.day, time())
        first, last = shift.local
        return max(first, midnight), min(last, midnight + DAY)


def clock_of(config: Config, day: date) -> Clock:
    """The clock of the configured zone on a day."""
    return _clock(config.timezone, config.zone, day)


# Each day's rows are compared with those of many days before.
@lru_cache(maxsize=1024)
def _clock(name: str, zone: ZoneInfo, day: date) -> Clock:
    midnight = datetime.combine(day, time())
    near = _shifts(zone, midnight - FARTHEST, midnight + DAY + FARTHEST)
    shifts = [s for s in near if s.local[0] < midnight + DAY and s.local[1] > midnight]
    start, end = _start(zone, day), _start(zone, day + DAY)
    offset = shifts[0].before if shifts else _offset(zone, start)
    return Clock(name, day, start, end, offset, tuple(shifts))


def day_start(config: Config, day: date) -> datetime:
    """First instant of the calendar day in the configured zone, as naive UTC."""
    return _start(config.zone, day)


def day_end(config: Config, day: date) -> datetime:
    """First instant after the day, as naive UTC (23 or 25 hours later when clocks change)."""
    return day_start(config, day + DAY)


def _start(zone: ZoneInfo, day: date) -> datetime:
    local = datetime.combine(day, time(), tzinfo=zone)
    return local.astimezone(tz=UTC).replace(tzinfo=None)


def _offset(zone: ZoneInfo, instant: datetime) -> int:
    """Seconds that local time is ahead of UTC at an instant (naive UTC)."""
    ahead = instant.replace(tzinfo=UTC).astimezone(zone).utcoffset()
    return int(ahead.total_seconds()) if ahead else 0


def _shifts(zone: ZoneInfo, first: datetime, last: datetime) -> Iterator[Shift]:
    """The shifts of a zone between two instants; within one hour there are never two."""
    while first < last:
        before, after = _offset(zone, first), _offset(zone, first + HOUR)
        if before != after:
            low, high = first, first + HOUR
            while high - low > SECOND:
                middle = low + (high - low) // 2
                middle = middle.replace(microsecond=0)
                low, high = (middle, high) if _offset(zone, middle) == before else (low, middle)
            yield Shift(high, before, after)
        first += HOUR


def _timestamp(when: date) -> str:
    return f"{literal(when.isoformat())}::TIMESTAMP"


def _behind(wall: str, offset: int) -> str:
    return f"{wall} - to_seconds({offset})" if offset else wall
