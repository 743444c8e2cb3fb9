"""Delivered times of every type and way of writing, as instants."""

from datetime import date, datetime

import pytest

from driftune.config import Config
from driftune.config.columns import TimeRole
from driftune.lake import times
from driftune.lake.clock import clock_of
from driftune.lake.times import Offsets
from tests.anywhere import anywhere
from tests.conftest import small_params

ZONE = "Asia/Kathmandu"  # UTC+05:45

CONFIG = Config.model_validate({**small_params(), "timezone": ZONE})
CLOCK = clock_of(CONFIG, date(2026, 3, 8))
# 2026-03-08 12:00 in Kathmandu.
NOON = datetime(2026, 3, 8, 6, 15)
SECONDS = 1_772_950_500


def read(value: str, kind: str, offsets: Offsets = "none", **role: str) -> datetime | None:
    """An SQL value of a type, as the instant (naive UTC) that the role reads."""
    given = TimeRole(column="value", **role)  # type: ignore[arg-type]
    wall = times.wall_clock(given, "value", kind, offsets)
    parts = [times.instant(given, "value", kind, offsets), wall and CLOCK.utc(wall)]
    found = ", ".join([*filter(None, parts), "NULL::TIMESTAMP"])
    with anywhere(ZONE) as con:
        sql = f"SELECT coalesce({found}) FROM (SELECT ({value})::{kind} AS value)"
        ((instant,),) = con.execute(sql).fetchall()
    return instant  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("'2026-03-08 12:00'", "TIMESTAMP"),
        ("'2026-03-08 12:00'", "TIMESTAMP_S"),
        ("'2026-03-08 12:00'", "TIMESTAMP_MS"),
        ("'2026-03-08 12:00'", "TIMESTAMP_NS"),
        ("'2026-03-08 12:00'", "TIMESTAMP WITH TIME ZONE"),
        ("'2026-03-08 06:15+00'", "TIMESTAMPTZ_NS"),
        ("'2026-03-08 12:00'", "VARCHAR"),
        ("'2026-03-08T12:00:00'", "VARCHAR"),
        ("'2026-03-08 12:00:00.000000000 '", "VARCHAR"),
    ],
)
def test_a_timestamp_is_local_unless_it_has_an_offset(value: str, kind: str) -> None:
    assert read(value, kind) == NOON


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-08T06:15:00Z",
        "2026-03-08 06:15Z",
        "2026-03-08T06:15:00.000Z",
        "2026-03-08T12:00:00+05:45",
        "2026-03-08 03:15:00.000-03",
        "2026-03-08 03:15:00-0300",
        "2026-03-08 06:15:00 UTC",
        "2026-03-08 07:15:00 Europe/Berlin",
    ],
)
@pytest.mark.parametrize("offsets", ["some", "all"])
def test_a_text_with_an_offset(text: str, offsets: Offsets) -> None:
    assert read(f"'{text}'", "VARCHAR", offsets) == NOON


@pytest.mark.parametrize(
    "text", ["2026-03-08", "2026-03-08 12:00", "2026-3-8 1:02:03", "2026/03/08 12:00:00.5", "soon"]
)
def test_texts_without_an_offset_are_seen(text: str) -> None:
    with anywhere() as con:
        found = con.execute(f"SELECT {times.offset_of(repr(text))}").fetchall()
    assert found == [(False,)]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("kind", ["BIGINT", "UBIGINT", "HUGEINT", "DOUBLE", "DECIMAL(38,3)"])
@pytest.mark.few(5)
def test_a_number_since_1970(unit: str, kind: str) -> None:
    value = SECONDS * {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    assert read(f"{value}", kind, unit=unit) == NOON
    assert read(f"'{value}'", "VARCHAR", unit=unit) == NOON


@pytest.mark.parametrize(
    ("value", "kind", "role", "wanted"),
    [
        # The last moment of a day is none of the next day.
        ("'2026-03-08 23:59:59.999999999'", "TIMESTAMP_NS", {}, "2026-03-08 18:14:59.999999"),
        ("'2026-03-08 23:59:59.999999999'", "VARCHAR", {}, "2026-03-08 18:14:59.999999"),
        ("'2026-03-08 18:14:59.999999999Z'", "TIMESTAMPTZ_NS", {}, "2026-03-08 18:14:59.999999"),
        ("1772993699999999999", "BIGINT", {"unit": "ns"}, "2026-03-08 18:14:59.999999"),
        ("1772993699.75", "DOUBLE", {"unit": "s"}, "2026-03-08 18:14:59.750000"),
        ("1772993699.9999999", "DECIMAL(20,7)", {"unit": "s"}, "2026-03-08 18:14:59.999999"),
        ("'1772993699.9999999'", "VARCHAR", {"unit": "s"}, "2026-03-08 18:14:59.999999"),
        ("'1772993699999.9'", "VARCHAR", {"unit": "ms"}, "2026-03-08 18:14:59.999900"),
        ("'2026-03-08'", "DATE", {}, "2026-03-07 18:15:00"),
    ],
)
def test_fractions_and_dates(value: str, kind: str, role: dict[str, str], wanted: str) -> None:
    assert read(value, kind, **role) == datetime.fromisoformat(wanted)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("08.03.2026 12:00", "%d.%m.%Y %H:%M"),
        ("8.3.26 12:00:00", "%d.%m.%y %H:%M:%S"),
        ("Mar 8 2026 12:00 PM", "%b %-d %Y %I:%M %p"),
        ("2026067 1200", "%Y%j %H%M"),
        ("08/Mar/2026:06:15:00 +0000", "%d/%b/%Y:%H:%M:%S %z"),
        ("08/Mar/2026:12:00:00 +0545", "%d/%b/%Y:%H:%M:%S %z"),
    ],
)
def test_a_format(text: str, form: str) -> None:
    assert read(f"'{text}'", "VARCHAR", format=form) == NOON


def test_digits_may_have_a_format() -> None:
    assert read("20260308120000", "BIGINT", format="%Y%m%d%H%M%S") == NOON


@pytest.mark.parametrize(
    ("value", "kind", "role"),
    [
        ("'infinity'", "TIMESTAMP", {}),
        ("'-infinity'", "TIMESTAMP WITH TIME ZONE", {}),
        ("'infinity'", "DATE", {}),
        ("'infinity'", "VARCHAR", {}),
        ("'infinity'", "DOUBLE", {"unit": "s"}),
        (str(2**63 - 1), "BIGINT", {"unit": "s"}),
        (str(2**63 - 1), "BIGINT", {"unit": "us"}),
        (str(2**100), "HUGEINT", {"unit": "ms"}),
        ("'9999999999999999999.5'", "VARCHAR", {"unit": "s"}),
        ("'soon'", "VARCHAR", {}),
        ("'soon'", "VARCHAR", {"unit": "ms"}),
        ("'31.02.2026'", "VARCHAR", {"format": "%d.%m.%Y"}),
        ("1772950500", "BIGINT", {}),
        ("true", "BOOLEAN", {}),
        ("[1]", "INTEGER[]", {}),
        ("'2026-03-08'", "DATE", {"unit": "ms"}),
        ("'2026-03-08'", "TIMESTAMP", {"unit": "ms"}),
        ("NULL", "VARCHAR", {}),
    ],
)
@pytest.mark.few(4)
def test_what_is_no_time_is_null(value: str, kind: str, role: dict[str, str]) -> None:
    assert read(value, kind, **role) is None
