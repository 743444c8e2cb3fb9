"""The clock of a zone: hours and days as Python's zoneinfo has them, whatever the day."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftune.config import Config
from driftune.lake.clock import Clock, clock_of
from tests.anywhere import anywhere
from tests.conftest import small_params

ZONES = sorted(available_timezones() - {"localtime", "Factory"})
# Days on which clocks change by an hour, by half of one, at midnight, by a day, twice in a night.
CHANGED = [
    ("Europe/Berlin", "2026-03-29"),
    ("Europe/Berlin", "2026-10-25"),
    ("Australia/Lord_Howe", "2026-04-05"),
    ("Australia/Lord_Howe", "2026-10-04"),
    ("America/Havana", "2026-03-08"),
    ("America/Havana", "2026-11-01"),
    ("Africa/Cairo", "2026-04-24"),
    ("Africa/Cairo", "2026-10-29"),
    ("Africa/Cairo", "2026-10-30"),
    ("Asia/Kathmandu", "1986-01-01"),
    ("Asia/Kathmandu", "2026-03-08"),
    ("America/St_Johns", "2010-11-06"),
    ("America/St_Johns", "2010-11-07"),
    ("America/Scoresbysund", "2024-03-31"),
    ("Pacific/Apia", "2011-12-29"),
    ("Pacific/Apia", "2011-12-30"),
    ("Pacific/Apia", "2011-12-31"),
    ("America/New_York", "2026-11-01"),
    ("Antarctica/Troll", "2026-03-29"),
]
MINUTE = timedelta(minutes=1)


CONFIG = Config.model_validate(small_params())


def clock(zone: str, day: date) -> Clock:
    return clock_of(CONFIG.model_copy(update={"timezone": zone}), day)


def of_sql(expression: str, column: str, times: list[datetime]) -> list[object]:
    """An expression over a column of these times."""
    with anywhere() as con:
        rows = con.execute(
            f"SELECT {expression} FROM (SELECT unnest($1::TIMESTAMP[]) AS {column})", [times]
        ).fetchall()
    return [value for (value,) in rows]


def check_instants(zone: str, day: date, instants: list[datetime]) -> None:
    """The hour and the day of instants (naive UTC) are those of Python's calendar."""
    known = clock(zone, day)
    hour = f"CASE WHEN {known.holds('moment')} THEN {known.seconds('moment')} // 3600 END"
    hours = of_sql(hour, "moment", instants)
    local = [instant.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)) for instant in instants]
    assert hours == [when.hour if when.date() == day else None for when in local]
    assert {hour for hour in hours if hour is not None} <= set(known.hours)


def check_walls(zone: str, day: date, walls: list[datetime]) -> None:
    """Local times of the day are the later instant that has them; none of the day is lost."""
    known = clock(zone, day)
    skipped = [any(first <= wall < last for first, last in known.skipped) for wall in walls]
    found = of_sql(known.utc("wall"), "wall", walls)
    local = [
        wall.replace(tzinfo=ZoneInfo(zone), fold=0 if lost else 1)
        for wall, lost in zip(walls, skipped, strict=True)
    ]
    assert found == [when.astimezone(UTC).replace(tzinfo=None) for when in local]
    held = of_sql(known.holds(known.utc("wall")), "wall", walls)
    assert all(here or lost for here, lost in zip(held, skipped, strict=True))


@pytest.mark.few(1)
@pytest.mark.parametrize(("zone", "day"), CHANGED)
def test_each_minute_of_a_changed_day_is_of_its_hour(zone: str, day: str) -> None:
    midnight = datetime.fromisoformat(day)
    around = [midnight + n * MINUTE for n in range(-30 * 60, 54 * 60)]
    check_instants(zone, midnight.date(), around)
    check_walls(zone, midnight.date(), [midnight + n * MINUTE for n in range(24 * 60)])


@st.composite
def days(draw: st.DrawFn) -> tuple[str, date]:
    """A zone and a day, often one on which its clock changes."""
    zone = draw(st.sampled_from(ZONES))
    day = draw(st.dates(date(1975, 1, 1), date(2037, 12, 1)))
    if draw(st.booleans()):
        for later in range(366):
            shifted = clock(zone, day + timedelta(days=later))
            if shifted.shifts:
                return zone, shifted.day
    return zone, day


@pytest.mark.slow
@pytest.mark.ci
@settings(max_examples=25)
@given(days(), st.lists(st.integers(-2 * 86_400_000_000, 3 * 86_400_000_000), min_size=1))
def test_any_instant_of_any_day_in_any_zone(where: tuple[str, date], micros: list[int]) -> None:
    zone, day = where
    midnight = datetime.combine(day, time())
    check_instants(zone, day, [midnight + timedelta(microseconds=n) for n in micros])
    walls = [midnight + timedelta(microseconds=n % 86_400_000_000) for n in micros]
    check_walls(zone, day, walls)


@pytest.mark.parametrize(
    ("zone", "day", "skipped", "repeated", "hours"),
    [
        ("Europe/Berlin", "2026-03-29", [("02:00", "03:00")], [], 23),
        ("Europe/Berlin", "2026-10-25", [], [("02:00", "03:00")], 24),
        ("Australia/Lord_Howe", "2026-10-04", [("02:00", "02:30")], [], 24),
        ("Australia/Lord_Howe", "2026-04-05", [], [("01:30", "02:00")], 24),
        ("Africa/Cairo", "2026-04-24", [("00:00", "01:00")], [], 23),
        ("America/St_Johns", "2010-11-07", [], [("00:00", "00:01")], 24),
        ("Pacific/Apia", "2011-12-30", [("00:00", "00:00")], [], 0),
        ("Asia/Kathmandu", "2026-03-08", [], [], 24),
    ],
)
def test_what_a_clock_skips_and_repeats(
    zone: str, day: str, skipped: list[object], repeated: list[object], hours: int
) -> None:
    known = clock(zone, date.fromisoformat(day))
    assert [(f"{a:%H:%M}", f"{b:%H:%M}") for a, b in known.skipped] == skipped
    assert [(f"{a:%H:%M}", f"{b:%H:%M}") for a, b in known.repeated] == repeated
    assert len(known.hours) == hours


def test_a_plain_day_costs_no_calendar() -> None:
    known = clock("Europe/Berlin", date(2026, 3, 8))
    assert known.shifts == ()
    assert "CASE" not in known.seconds("moment")
