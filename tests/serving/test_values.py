"""Values of rows against DuckDB, which writes the lake: ids, numbers, times of all types."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import ClassVar
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftune.config import Config
from driftune.config.columns import TimeRole
from driftune.errors import RowsError
from driftune.lake import roles, times, values
from driftune.lake.clock import clock_of
from driftune.serving.numbers import as_numbers, logarithm
from driftune.serving.roles import Role, Time
from driftune.serving.rows import _domains
from driftune.serving.texts import as_text
from driftune.serving.times import MISSING, hours, instants

ZONE = ZoneInfo("Europe/Berlin")
CON = duckdb.connect()
DOUBLES = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from(
    [0.0, -0.0, 1e15, 1e16, 1e-4, 1e-5, 123456789.0, 2.0**53]
)
EPOCH = datetime(1970, 1, 1)
FEW = settings(max_examples=40)
IDS = {
    "BIGINT": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "UBIGINT": (pa.uint64(), st.integers(0, 2**64 - 1)),
    "TINYINT": (pa.int8(), st.integers(-128, 127)),
    "VARCHAR": (pa.string(), st.text(st.characters(exclude_categories=["Cs"]), max_size=9)),
    "BOOLEAN": (pa.bool_(), st.booleans()),
    "DOUBLE": (pa.float64(), DOUBLES),
    "FLOAT": (
        pa.float32(),
        st.floats(width=32) | st.sampled_from([1e7, 1e16, 123456.789, 1e-4, 1e-5]),
    ),
    "DECIMAL(18,8)": (
        pa.decimal128(18, 8),
        st.decimals(-(10**9), 10**9, places=8, allow_nan=False),
    ),
    "DECIMAL(12,0)": (pa.decimal128(12, 0), st.integers(-(10**11), 10**11).map(Decimal)),
    "DATE": (pa.date32(), st.dates(date(1, 1, 1), date(9999, 12, 31))),
    "TIMESTAMP": (
        pa.timestamp("us"),
        st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31)),
    ),
    "TIMESTAMP_MS": (
        pa.timestamp("ms"),
        st.integers(-(10**12), 10**13).map(lambda ms: EPOCH + timedelta(milliseconds=ms)),
    ),
}


@pytest.mark.parametrize("kind", IDS)
@FEW
@given(data=st.data())
@pytest.mark.few(1)
def test_an_id_has_the_text_that_the_lake_has(kind, data):
    arrow, drawn = IDS[kind]
    given_values = data.draw(st.lists(drawn | st.none(), max_size=20))
    try:
        column = pa.array(given_values, arrow)
    except (pa.ArrowInvalid, OverflowError):
        return
    rows = pa.table({"a": column})
    wanted = CON.sql("SELECT a::VARCHAR AS t FROM rows").to_arrow_table()["t"].to_pylist()
    assert as_text(rows["a"], Role("columns.item", "a", None, kind)).to_pylist() == wanted


@pytest.mark.parametrize(
    ("given_values", "kind", "whole", "texts"),
    [
        (pa.array([7, None]), "DOUBLE", False, ["7.0", None]),
        (pa.array([7]), "DECIMAL(9,2)", False, ["7.00"]),
        (pa.array([7.0, None]), "BIGINT", False, ["7", None]),
        (pa.array([7.0]), "VARCHAR", True, ["7"]),
        (pa.array([7]), "VARCHAR", True, ["7"]),
        (pa.array(["007"]), "BIGINT", False, ["007"]),
        (pa.array(["a", "a"]).dictionary_encode(), "VARCHAR", False, ["a", "a"]),
        (pa.array([None, None]), "BIGINT", False, [None, None]),
        (
            pa.array(["A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"]),
            *("UUID", False, ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
        ),
    ],
)
def test_a_value_of_another_type_reads_as_the_lake_has_it(given_values, kind, whole, texts):
    role = Role("columns.user", "u", None, kind, whole)
    assert as_text(given_values, role).to_pylist() == texts


@pytest.mark.parametrize(
    ("given_values", "kind"),
    [
        (pa.array([7]), "VARCHAR"),
        (pa.array([7.5]), "BIGINT"),
        (pa.array([float("nan")]), "BIGINT"),
        (pa.array([1.5]), "VARCHAR"),
        (pa.array([1.5], pa.float32()), "DOUBLE"),
        (pa.array([Decimal("1.50")]), "DECIMAL(9,1)"),
        (pa.array([b"a"]), "VARCHAR"),
        (pa.array([[1]]), "BIGINT[]"),
        (pa.array([1], pa.timestamp("us", "UTC")), "TIMESTAMP WITH TIME ZONE"),
        (pa.array([1], pa.timestamp("ns")), "TIMESTAMP_NS"),
    ],
)
def test_a_type_whose_text_nobody_can_tell_is_refused_in_one_line(given_values, kind):
    with pytest.raises(RowsError, match=r"'u' \(columns\.user\) comes as") as told:
        as_text(given_values, Role("columns.user", "u", None, kind))
    assert "\n" not in str(told.value)


NUMBERS = st.sampled_from(
    ["1.5", " 2 ", "+3", "1.", ".5", "1e5", "1_000", "1,5", "", " ", "nan", "inf", "-0", "１", "x"]
) | st.floats().map(repr)


@FEW
@given(st.lists(NUMBERS | st.none(), max_size=20))
def test_a_text_is_the_number_that_the_lake_has(texts):
    rows = pa.table({"a": pa.array(texts, pa.string())})
    sql = values.number("a", "VARCHAR")
    broken = values.unreadable({"x_a": "a"}, {"a": "VARCHAR"})
    found = CON.sql(f"SELECT {sql} AS n, {broken} IS NOT NULL AS b FROM rows").to_arrow_table()
    numbers, wrong = as_numbers(rows["a"], Role("features.numerical.a", "a"))
    wanted = found["n"].to_numpy()
    np.testing.assert_array_equal(numbers, np.array(wanted, dtype=float))
    assert wrong.tolist() == found["b"].to_pylist()


@FEW
@given(st.lists(DOUBLES | st.none(), max_size=20))
def test_a_logarithm_has_the_bits_that_the_encoder_has(numbers):
    rows = pa.table({"a": pa.array(numbers, pa.float64())})
    sql = "CASE WHEN isfinite(a) THEN sign(a) * ln(1 + abs(a)) END"
    wanted = CON.sql(f"SELECT {sql} AS n FROM rows").to_arrow_table()["n"].to_numpy()
    found = logarithm(as_numbers(rows["a"], Role("columns.price", "a"))[0])
    np.testing.assert_array_equal(found, np.array(wanted, dtype=float))


TIMES = [
    TimeRole(column="t"),
    TimeRole(column="t", unit="s"),
    TimeRole(column="t", unit="ms"),
    TimeRole(column="t", unit="us"),
    TimeRole(column="t", unit="ns"),
    TimeRole(column="t", format="%d.%m.%Y %H:%M"),
]
DAYS = [date(2026, 3, 29), date(2026, 10, 25), date(2026, 7, 1)]


def config_of(zone: str) -> Config:
    return Config.model_construct(timezone=zone)


@pytest.mark.parametrize("day", DAYS, ids=str)
@FEW
@given(data=st.data())
@pytest.mark.slow
@pytest.mark.ci
def test_a_time_is_the_instant_and_the_hour_that_the_lake_has(day, data):
    midnight = datetime(day.year, day.month, day.day)
    role = data.draw(st.sampled_from(TIMES))
    walls = data.draw(
        st.lists(st.datetimes(midnight, midnight + timedelta(hours=23, minutes=59)), min_size=1)
    )
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
    if role.format:
        column = pa.array([wall.strftime(role.format) for wall in walls])
    elif role.unit != "timestamp":
        factor = per_second[role.unit]
        column = pa.array([int(wall.replace(tzinfo=ZONE).timestamp()) * factor for wall in walls])
    else:
        written = data.draw(st.sampled_from(["naive", "zoned", "text", "offset", "date", "ns"]))
        column = {
            "naive": lambda: pa.array(walls, pa.timestamp("us")),
            "ns": lambda: pa.array(walls, pa.timestamp("ns")),
            "zoned": lambda: pa.array(
                [wall.replace(tzinfo=ZONE) for wall in walls], pa.timestamp("us", "UTC")
            ),
            "text": lambda: pa.array([wall.isoformat(sep=" ") for wall in walls]),
            "offset": lambda: pa.array([wall.replace(tzinfo=ZONE).isoformat() for wall in walls]),
            "date": lambda: pa.array([day for _ in walls], pa.date32()),
        }[written]()
    rows = pa.table({"t": column})
    kind = str(CON.sql("DESCRIBE SELECT t FROM rows").fetchall()[0][1])
    clock = clock_of(config_of("Europe/Berlin"), day)
    wall, instant = (read(role, "t", kind, "some") for read in (times.wall_clock, times.instant))
    both = [instant or "NULL::TIMESTAMP", clock.utc("wall") if wall else "NULL::TIMESTAMP"]
    seen = f"SELECT *, {wall or 'NULL::TIMESTAMP'} AS wall FROM rows"
    sql = f"SELECT coalesce({', '.join(both)}) AS moment FROM ({seen})"
    table = CON.sql(
        f"SELECT epoch_us(moment) AS us, {clock.seconds('moment')} // 3600 AS hour FROM ({sql})"
    ).to_arrow_table()
    given_role = Time(Role("columns.time", "t"), role.unit, role.format)
    micros, wrong = instants(rows["t"], given_role, ZONE)
    assert micros.tolist() == table["us"].to_pylist() and not wrong.any()
    assert hours(micros, ZONE).tolist() == table["hour"].to_pylist()


def test_what_is_no_time_is_marked_and_null_is_not():
    column = pa.array(["2026-03-02 10:00", "soon", None])
    micros, wrong = instants(column, Time(Role("columns.time", "t"), "timestamp", None), ZONE)
    assert wrong.tolist() == [False, True, False]
    assert (micros[1:] == MISSING).all()


LARGEST, SMALLEST = 2**63 - 1, -(2**63)
ABSURD = [
    ("s", pa.array([1_772_445_600_000, LARGEST, SMALLEST, -(10**15)])),
    ("s", pa.array([10**13, 10**12], pa.uint64())),
    ("ms", pa.array([LARGEST, SMALLEST, 10**18])),
    ("us", pa.array([LARGEST, SMALLEST, SMALLEST + 1, 10**18])),
    ("us", pa.array([2**64 - 1, 2**63], pa.uint64())),
    ("ns", pa.array([2**64 - 1], pa.uint64())),
    ("s", pa.array([1.77e12, 1e300, -1e300, float("inf"), float("-inf"), float("nan")])),
    ("us", pa.array([1e19, 1e300], pa.float64())),
    ("s", pa.array(["1772445600000", "1e999999999", "-1e30", "Infinity", "NaN", "x"])),
    ("ns", pa.array(["1e999999999", "9" * 30, "inf"])),
    ("timestamp", pa.array([2**60, -(2**60), 253_370_764_800, -(10**11)], pa.timestamp("s"))),
    ("timestamp", pa.array([LARGEST, SMALLEST, 10**16], pa.timestamp("ms"))),
    ("timestamp", pa.array([LARGEST, SMALLEST, SMALLEST + 1], pa.timestamp("us"))),
    ("timestamp", pa.array([LARGEST, SMALLEST], pa.timestamp("us", "UTC"))),
    ("timestamp", pa.array([2**60], pa.timestamp("s", "UTC"))),
    ("timestamp", pa.array([2**31 - 1, -(2**31), -719_162], pa.date32())),
    ("timestamp", pa.array([2**62, -(2**62)], pa.date64())),
    ("timestamp", pa.array(["0001-01-01", "9999-12-31 23:59", "0001-01-01T00:00+14:00"])),
]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Pacific/Kiritimati", "America/Los_Angeles"])
@pytest.mark.parametrize(("unit", "column"), ABSURD, ids=lambda each: str(each)[:9])
def test_what_no_clock_shows_is_no_time_and_lets_the_rows_beside_it_be(unit, column, zone):
    time = Time(Role("columns.time", "t"), unit, None)
    sound = {"timestamp": "2026-03-02 10:00", "ns": "1772445600000000000"}.get(unit, "1772445600")
    beside = pa.array([sound, None])
    if not pa.types.is_string(column.type):
        whole = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
        kept = getattr(column.type, "unit", "s") if unit == "timestamp" else unit
        number = 1_772_445_600 * whole[kept]
        if pa.types.is_date(column.type):
            number = 20_514 * (1 if pa.types.is_date32(column.type) else 86_400_000)
        beside = pa.array([number, None], column.type)
    micros, wrong = instants(pa.concat_arrays([column, beside]), time, ZoneInfo(zone))
    assert wrong.tolist() == [True] * len(column) + [False, False]
    assert (np.delete(micros, -2) == MISSING).all()
    assert abs(micros[-2] - 1_772_445_600_000_000) <= 86_400_000_000
    given = np.where(micros == MISSING, 0, micros)
    assert ((hours(given, ZoneInfo(zone)) >= 0) & (hours(given, ZoneInfo(zone)) < 24)).all()


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/Los_Angeles"])
@pytest.mark.parametrize("year", [2, 1677, 1969, 9998])
def test_the_first_and_the_last_time_have_an_hour_in_every_zone(year, zone):
    days = [date(year, 1, 1), date(year, 12, 31)]
    time = Time(Role("columns.time", "t"), "timestamp", None)
    for column in (pa.array(days), pa.array([str(day) for day in days])):
        micros, wrong = instants(column, time, ZoneInfo(zone))
        assert hours(np.where(wrong, 0, micros), ZoneInfo(zone)).size == 2
        assert not wrong[-1 if year == 2 else 0]


PARTS = st.text(st.sampled_from("a·\\ \u00a0\t"), max_size=5)


@FEW
@given(st.lists(st.tuples(PARTS | st.none(), PARTS | st.none()), max_size=12))
@pytest.mark.slow
@pytest.mark.ci
def test_a_domain_of_several_columns_has_the_name_that_the_lake_has(pairs):
    rows = pa.table(
        {
            "a": pa.array([pair[0] for pair in pairs], pa.string()),
            "b": pa.array([pair[1] for pair in pairs], pa.string()),
        }
    )
    config = Config.model_construct(columns=_Columns())
    sql = roles.domain_expression(config)
    wanted = CON.sql(f"SELECT {sql} AS d FROM rows").to_arrow_table()["d"].to_pylist()
    found = _domains(_Said(), rows)
    names = [found.values[code] if code >= 0 else None for code in found.codes]
    assert names == wanted


class _Columns:
    domain: ClassVar = ["a", "b"]


class _Said:
    other = False

    class roles:  # noqa: N801
        domain = (Role("columns.domain", "a"), Role("columns.domain", "b"))
