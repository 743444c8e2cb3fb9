"""What a day's record says of how its times are written, and how they are named in params.yaml."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from driftune.config import Config
from driftune.config.quality import TIME_RULES
from driftune.errors import DayRefusedError
from driftune.intake.ingest import ingest
from driftune.intake.stage import content_hash
from driftune.lake.source import Fetched, SourceFile
from driftune.lake.table import Lake
from driftune.quality.record import DayQuality
from driftune.registry.ledger import Ledger
from tests.anywhere import anywhere
from tests.conftest import FIRST, World, impressions, small_params

Make = Callable[..., World]

MORNING = datetime.combine(FIRST, datetime.min.time())


def run(world: World, day: date = FIRST) -> DayQuality:
    with Ledger(world.config) as ledger:
        return ingest(world.config, ledger, day).quality


def told(quality: DayQuality) -> dict[str, tuple[str, int | None]]:
    """Sentences and counts of what is said of times, by rule."""
    return {
        check["rule"]: (check["sentence"], check["unexpected"])
        for check in quality.checks
        if check["rule"] in TIME_RULES
    }


def hours(world: World, day: date = FIRST) -> list[int]:
    """The hours of the day's rows in the lake, in order of their time."""
    with anywhere() as con:
        relation = Lake.of(world.config).relation([day])
        rows = con.execute(f"SELECT hour FROM {relation} ORDER BY event_time").fetchall()
    return [hour for (hour,) in rows]


def changed_world(make_world: Make, zone: str, day: str, minutes: int = 7) -> World:
    """A world whose one day has an impression every few minutes, its times without an offset."""
    world = make_world(timezone=zone, reference={"first": day, "last": day})
    midnight = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone))
    first, last = midnight.astimezone(UTC), (midnight + timedelta(days=1)).astimezone(UTC)
    instants = pd.date_range(first, last, freq=f"{minutes}min", inclusive="left")
    frame = impressions(FIRST, rows=len(instants))
    local = [instant.astimezone(midnight.tzinfo) for instant in instants.to_pydatetime()]
    frame["event_time"] = pd.to_datetime([when.replace(tzinfo=None) for when in local])
    frame.to_parquet(world.root / "logs" / f"{day}.parquet", index=False)
    return world


def textual(world: World, texts: list[Any], suffix: str = "parquet") -> None:
    """Write the first day with these times."""
    frame = impressions(FIRST, rows=len(texts)).assign(event_time=texts)
    path = world.root / "logs" / f"{FIRST}.{suffix}"
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path, index=False)


# The clock


@pytest.mark.parametrize(
    ("zone", "day", "wanted"),
    [
        ("Europe/Berlin", "2026-10-25", "120 times of 02:00 to 03:00 came twice"),
        ("Australia/Lord_Howe", "2026-04-05", "60 times of 01:30 to 02:00 came twice"),
        ("America/Havana", "2026-11-01", "120 times of 00:00 to 01:00 came twice"),
        ("Africa/Cairo", "2026-10-29", "120 times of 23:00 to 24:00 came twice"),
    ],
)
def test_times_that_come_twice_are_counted(
    make_world: Make, zone: str, day: str, wanted: str
) -> None:
    world = changed_world(make_world, zone, day, minutes=1)
    quality = run(world, date.fromisoformat(day))
    ((sentence, rows),) = told(quality).values()
    assert wanted in sentence
    assert (quality.verdict, quality.rejected, rows) == ("warning", 0, int(wanted.split()[0]))
    assert quality.hours == list(range(24))


@pytest.mark.parametrize(
    ("zone", "day", "skipped"),
    [
        ("Europe/Berlin", "2026-03-29", [2]),
        ("Australia/Lord_Howe", "2026-10-04", []),
        ("America/Havana", "2026-03-08", [0]),
        ("Asia/Kathmandu", "2026-03-08", []),
        ("Pacific/Apia", "2011-12-31", []),
    ],
)
def test_hours_are_the_clocks(make_world: Make, zone: str, day: str, skipped: list[int]) -> None:
    world = changed_world(make_world, zone, day)
    quality = run(world, date.fromisoformat(day))
    assert (quality.rejected, told(quality)) == (0, {})
    assert quality.hours == sorted(set(range(24)) - set(skipped))
    delivered = pd.read_parquet(world.root / "logs" / f"{day}.parquet")["event_time"]
    assert hours(world, date.fromisoformat(day)) == delivered.dt.hour.tolist()


def test_times_that_the_clock_skipped_are_counted(make_world: Make) -> None:
    day = "2026-03-29"
    world = changed_world(make_world, "Europe/Berlin", day)
    path = world.root / "logs" / f"{day}.parquet"
    frame = pd.read_parquet(path)
    frame.loc[:4, "event_time"] = pd.Timestamp(f"{day} 02:30")
    frame.to_parquet(path, index=False)
    quality = run(world, date.fromisoformat(day))
    ((sentence, rows),) = told(quality).values()
    assert "5 times of 02:00 to 03:00 were skipped" in sentence
    assert (quality.rejected, rows) == (0, 5)
    assert set(quality.hours) == set(range(24)) - {2}


def test_the_hour_after_a_short_day_is_none_of_it(make_world: Make) -> None:
    day = "2026-03-29"
    world = changed_world(make_world, "Europe/Berlin", day)
    path = world.root / "logs" / f"{day}.parquet"
    frame = pd.read_parquet(path)
    frame.loc[:4, "event_time"] = pd.Timestamp("2026-03-30 00:30")
    frame.to_parquet(path, index=False)
    assert run(world, date.fromisoformat(day)).rejected == 5


# Offsets


def test_some_times_with_an_offset_are_told(make_world: Make) -> None:
    world = make_world(timezone="Asia/Kathmandu")
    texts = [(MORNING + timedelta(minutes=n)).isoformat() for n in range(1200)]
    texts[::3] = [f"{text}+05:45" for text in texts[::3]]
    texts[1] = "soon"
    textual(world, texts)
    quality = run(world)
    sentence = "400 of 1,199 times have an offset, the others are read in Asia/Kathmandu."
    ((found, rows),) = told(quality).values()
    assert found.endswith(sentence)
    assert (quality.rejected, rows, quality.hours) == (1, 400, list(range(20)))


@pytest.mark.few(2)
@pytest.mark.parametrize("offset", ["", "Z", "+00:00"])
@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_all_with_an_offset_or_none_is_nothing_to_tell(
    make_world: Make, offset: str, suffix: str
) -> None:
    world = make_world(source={"uri": f"logs/{{day}}.{suffix}"})
    texts = [(MORNING + timedelta(minutes=n)).isoformat() + offset for n in range(1200)]
    textual(world, [*texts[:-1], "soon"], suffix)
    quality = run(world)
    assert (told(quality), quality.rejected) == ({}, 1)
    assert hours(world) == [n // 60 for n in range(1199)]


# Units

SECONDS = (np.datetime64(FIRST, "s").astype("int64") + 60 * np.arange(1200)).tolist()
SCALES = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}


@pytest.mark.few(1)
@pytest.mark.parametrize("given", SCALES)
@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_wrong_unit_is_named(make_world: Make, given: str, suffix: str, tmp_path: Path) -> None:
    for said in [unit for unit in SCALES if unit != given]:
        world = World(
            tmp_path / said,
            source={"uri": f"logs/{{day}}.{suffix}"},
            columns={"time": {"column": "event_time", "unit": said}},
        )
        textual(world, [n * SCALES[given] for n in SECONDS], suffix)
        wanted = (
            f"these look like {NAMES[given]}, not {NAMES[said]}; set columns.time.unit: {given}"
        )
        with pytest.raises(DayRefusedError, match=wanted) as error:
            run(world)
        assert "\n" not in str(error.value)


@pytest.mark.few(3)
@pytest.mark.parametrize(
    ("texts", "time", "wanted"),
    [
        ("number", {}, "these look like seconds, not timestamps; set columns.time.unit: s"),
        ("text", {"unit": "ms"}, "look like timestamps, not milliseconds; set .*unit: timestamp"),
        ("time", {"unit": "s"}, "these look like timestamps, not seconds; set .*unit: timestamp"),
        ("zoned", {"unit": "s"}, "these look like timestamps, not seconds; set .*unit: timestamp"),
        ("text", {"format": "%d.%m.%Y"}, "timestamps, not '%d.%m.%Y'; .* and leave out its format"),
        ("german", {}, "'02.03.2026 00:00' is no time; set columns.time.format, such as"),
        ("german", {"format": "%d/%m/%Y"}, "'02.03.2026 00:00' is not written as '%d/%m/%Y'"),
        ("digits", {}, r"'20260302000000' \(BIGINT\) is no time; set columns.time.unit or format"),
        ("german", {"unit": "s"}, r"'02.03.2026 00:00' \(VARCHAR\) is no number of seconds"),
    ],
)
def test_times_of_another_kind_are_named(
    make_world: Make, texts: str, time: dict[str, str], wanted: str
) -> None:
    world = make_world(columns={"time": {"column": "event_time", **time}})
    moments = pd.Series(pd.to_datetime(SECONDS, unit="s"))
    textual(world, list({
        "number": SECONDS,
        "text": moments.astype(str),
        "time": moments,
        "zoned": moments.dt.tz_localize("UTC"),
        "german": moments.dt.strftime("%d.%m.%Y %H:%M"),
        "digits": moments.dt.strftime("%Y%m%d%H%M%S").astype("int64"),
    }[texts]))  # fmt: skip
    with pytest.raises(DayRefusedError, match=wanted) as error:
        run(world)
    assert "\n" not in str(error.value)


def test_times_of_another_day_are_just_that(make_world: Make) -> None:
    world = make_world(columns={"time": {"column": "event_time", "unit": "s"}})
    textual(world, [n + 9 * 86_400 for n in SECONDS])
    with pytest.raises(DayRefusedError) as error:
        run(world)
    assert "columns.time says" not in str(error.value)


# Expressions and formats


@pytest.mark.few(3)
@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.parametrize(
    ("time", "wanted"),
    [
        ({"sql": "make_timestamp(event_time * 1000000)"}, 0),
        ({"sql": "event_time - 3600", "unit": "s"}, 60),
        ({"sql": "event_time::VARCHAR || '000'", "unit": "ms"}, 0),
    ],
)
def test_an_expression(make_world: Make, suffix: str, time: dict[str, str], wanted: int) -> None:
    world = make_world(source={"uri": f"logs/{{day}}.{suffix}"}, columns={"time": time})
    textual(world, SECONDS, suffix)
    quality = run(world)
    assert (quality.rejected, len(hours(world))) == (wanted, 1200 - wanted)
    assert hours(world) == [n // 60 for n in range(1200 - wanted)]


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_a_format(make_world: Make, suffix: str, zone: str) -> None:
    world = make_world(
        source={"uri": f"logs/{{day}}.{suffix}"},
        timezone=zone,
        columns={"time": {"column": "event_time", "format": "%d.%m.%Y %H:%M"}},
    )
    texts = [f"{MORNING + timedelta(minutes=n):%d.%m.%Y %H:%M}" for n in range(1200)]
    textual(world, [*texts[:-1], "soon"], suffix)
    assert run(world).rejected == 1
    assert hours(world) == [n // 60 for n in range(1199)]


def test_a_date_is_the_days_midnight(make_world: Make) -> None:
    world = make_world(timezone="Asia/Tokyo", quality={"min_hours": 1})
    textual(world, [FIRST] * 1200)
    assert run(world).rejected == 0
    assert hours(world) == [0] * 1200


COLUMNS = {"user": "u", "item": "i", "time": {"column": "t", "unit": "ms"}, "domain": ["a", "b"]}
COLUMNS |= {"click": "c", "convert": {"sql": "c * o"}, "category": "k", "price": "p"}


def hashed(**columns: Any) -> str:
    """The content hash of a delivery with some roles named otherwise."""
    features = {"categorical": ["r"], "numerical": []}
    settings = {"columns": {**COLUMNS, **columns}, "features": features, "timezone": "Asia/Tokyo"}
    config = Config.model_validate({**small_params(), **settings, "domains": {"unknown": "other"}})
    file = SourceFile("a.parquet", Path("a.parquet"), "parquet", 1, "0" * 64, 1)
    return content_hash(config, Fetched(date(2026, 3, 8), (file,)), ["x"])


def test_days_of_old_keep_their_hash() -> None:
    assert hashed() == "72215991b6c9f0df79f4e842e198d1d8c96bf46b628f499706ec4237c1b46ae9"
    assert (
        hashed(request="q", time={"column": "t"})
        == "f15bb7c788da2bca4a53d7deddd52dd4b30ff87fd29d43c39d2169b07b82acb8"
    )
    assert len({hashed(time={"column": "t", **new}) for new in ({}, {"format": "%Y%j"})}) == 2
    assert len({hashed(time={"sql": sql}) for sql in ("t", "t + 1")}) == 2
