"""Files that hold many days: each day's rows are those of its time, and a version is read once."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd
import pytest

from driftune.config.loading import load_config
from driftune.errors import ConfigError, SourceError
from driftune.intake.ingest import ingest
from driftune.intake.missed import missed_days
from driftune.lake import many_days
from driftune.lake.duck import connect
from driftune.lake.source import arrived, fetch
from driftune.lake.table import Lake
from driftune.registry.ledger import Ledger
from tests.conftest import World, impressions

Make = Callable[..., World]
BY_TIME = {"uri": "logs/all.parquet", "day_from": "time"}


def log(world: World, days: int) -> pd.DataFrame:
    """Some days' rows, with a number each to tell them by."""
    rows = pd.concat([impressions(world.day(number), 200) for number in range(days)])
    return rows.reset_index(drop=True).assign(n=range(200 * days))


def write(world: World, rows: pd.DataFrame, name: str = "all.parquet") -> Path:
    path = world.root / "logs" / name
    if name.endswith(".csv"):
        rows.to_csv(path, index=False)
    elif name.endswith(".jsonl"):
        rows.assign(event_time=rows.event_time.astype(str)).to_json(
            path, orient="records", lines=True
        )
    else:
        rows.to_parquet(path, index=False)
    return path


def contents(world: World, days: int) -> list[str]:
    return [fetch(world.config, world.day(n), world.root / "remote").content for n in range(days)]


def numbers(world: World, number: int) -> list[int]:
    view, day = Lake.of(world.config), world.day(number)
    with connect(reach=[view.place]) as con:
        found = con.execute(f"SELECT d_n::BIGINT FROM {view.relation([day])}").fetchall()
    return [value for (value,) in found]


@pytest.mark.parametrize("name", ["all.parquet", "all.csv", "all.jsonl"])
def test_a_day_has_the_rows_of_its_time_in_their_order(make_world: Make, name: str) -> None:
    world = make_world(source={"uri": f"logs/{name}", "day_from": "time"})
    rows = log(world, 3)
    # Rows of the days lie between one another.
    write(world, rows.sort_values("event_time", key=lambda times: times.dt.time), name)
    with Ledger(world.config) as ledger:
        ingest(world.config, ledger, world.day(1))
    assert sorted(numbers(world, 1)) == list(range(200, 400))
    times = rows.set_index("n").event_time[numbers(world, 1)]
    assert times.dt.time.is_monotonic_increasing


def test_a_version_is_read_once_and_a_new_one_changes_the_days_that_changed(
    make_world: Make,
) -> None:
    world = make_world(source=BY_TIME)
    rows = log(world, 4)
    write(world, rows.iloc[:600])
    with mock.patch.object(many_days, "_part", side_effect=many_days._part) as read:
        before = contents(world, 3)
        assert read.call_count == 1
        assert not arrived(world.config, world.day(3))
        rows.loc[250, "price"] = 99.0
        write(world, rows)
        after = contents(world, 4)
        assert read.call_count == 2
    assert [after[n] == before[n] for n in range(3)] == [True, False, True]
    assert len({*after}) == 4


def test_an_unchanged_day_is_no_new_revision_and_a_late_one_is_missed(make_world: Make) -> None:
    world = make_world(source=BY_TIME)
    rows = log(world, 5)
    write(world, rows[rows.event_time < str(world.day(4))])
    with Ledger(world.config) as ledger:
        for number in range(4):
            ingest(world.config, ledger, world.day(number))
        assert missed_days(world.config, ledger, world.day(6)) == [world.day(3)]
        write(world, rows)
        assert not ingest(world.config, ledger, world.day(3)).changed
        assert missed_days(world.config, ledger, world.day(6)) == [world.day(3), world.day(4)]


def test_a_row_without_a_readable_time_is_quarantined_on_the_day_of_the_row_before_it(
    make_world: Make, caplog: pytest.LogCaptureFixture
) -> None:
    world = make_world(source={"uri": "logs/all.csv", "day_from": "time"})
    rows = log(world, 3).astype({"event_time": str})
    rows.loc[[0, 1, 250, 251, 599], "event_time"] = ["", "never", "soon", "", "x"]
    write(world, rows, "all.csv")
    with Ledger(world.config) as ledger:
        found = [ingest(world.config, ledger, world.day(n)).quality for n in range(3)]
    assert [(each.rows, each.rejected) for each in found] == [(200, 2), (200, 2), (200, 1)]
    assert {part["reason"] for each in found for part in each.rejections} == {"time_unreadable"}
    assert "5 rows have a time that columns.time cannot read" in caplog.text


def test_the_day_is_that_of_the_zone(make_world: Make) -> None:
    world = make_world(source=BY_TIME, timezone="Asia/Shanghai")
    rows = log(world, 2)
    rows["event_time"] = rows.event_time.dt.tz_localize("Asia/Shanghai").dt.tz_convert("UTC")
    write(world, rows)
    with Ledger(world.config) as ledger:
        quality = ingest(world.config, ledger, world.day(1)).quality
    assert (quality.rows, quality.rejected) == (200, 0)
    assert numbers(world, 1) == list(range(200, 400))


def test_rows_that_no_run_takes_are_said(
    make_world: Make, caplog: pytest.LogCaptureFixture
) -> None:
    world = make_world(source=BY_TIME)
    rows = log(world, 2)
    rows.loc[:6, "event_time"] -= pd.Timedelta(days=300)
    write(world, rows)
    assert arrived(world.config, world.day(0) - timedelta(days=300))
    assert "7 rows of 1 days lie before reference.first" in caplog.text


def test_several_files_share_the_days(make_world: Make) -> None:
    world = make_world(source={"uri": "logs/*.parquet", "day_from": "time"})
    rows = log(world, 2)
    write(world, rows.iloc[:300], "a.parquet")
    write(world, rows.iloc[300:], "b.parquet")
    with Ledger(world.config) as ledger:
        ingest(world.config, ledger, world.day(1))
    assert numbers(world, 1) == list(range(200, 400))


def test_a_store_is_asked_for_the_file_once_a_version(bucket: Any, make_world: Make) -> None:
    world = make_world(source={"uri": "s3://logs/all.parquet", "day_from": "time"})
    rows = log(world, 3)
    bucket.put(str(write(world, rows.iloc[:400])), "logs/all.parquet")
    with mock.patch.object(many_days, "bring", side_effect=many_days.bring) as brought:
        before = contents(world, 2)
        assert brought.call_count == 1
        bucket.put(str(write(world, rows)), "logs/all.parquet")
        assert contents(world, 3)[:2] == before
        assert brought.call_count == 2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"event_time": "when"}, "has no column 'event_time', which columns.time names"),
        ({}, "no row of logs/all.csv is of this day by columns.time .* 2026-03-02 to 2026-03-03"),
    ],
)
def test_a_day_that_is_not_there_is_one_line(
    make_world: Make, change: dict[str, str], says: str
) -> None:
    world = make_world(source={"uri": "logs/all.csv", "day_from": "time"})
    write(world, log(world, 2).rename(columns=change), "all.csv")
    with pytest.raises(SourceError, match=says) as error:
        fetch(world.config, world.day(7), world.root / "remote")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda text: text + "one,two\n", "line 402 .* of a file of many days"),
        (lambda text: text.replace("2026-", "MMXXVI-"), "columns.time reads none of its times"),
    ],
)
def test_what_has_no_day_is_refused_in_one_line(
    make_world: Make, spoil: Callable[[str], str], says: str
) -> None:
    world = make_world(source={"uri": "logs/all.csv", "day_from": "time"})
    path = write(world, log(world, 2), "all.csv")
    path.write_text(spoil(path.read_text()))
    with pytest.raises(SourceError, match=says) as error:
        fetch(world.config, world.day(0), world.root / "remote")
    assert "\n" not in str(error.value)
    assert not [each for each in world.config.home.glob("many-days/*") if each.is_dir()]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"source": {"uri": "logs/{day}.parquet", "day_from": "time"}},
            "names {day}, and source.day_from: time takes the day from each row; leave one out",
        ),
        ({"source": {"uri": "logs/all.parquet"}}, "must contain {day}"),
        (
            {
                "source": BY_TIME,
                "tables": {
                    "users": {
                        "uri": "u.csv",
                        "as_of": "latest",
                        "key": "user_id",
                        "columns": ["seen"],
                    }
                },
                "columns": {"time": {"column": "users.seen"}},
            },
            "needs a time in the logs: columns.time = 'users.seen' is a column of a side table",
        ),
        (
            {
                "source": BY_TIME
                | {"explode": {"columns": {"item_id": "ids", "event_time": "shown"}}},
                "columns": {"time": {"column": "event_time"}},
            },
            "needs one time a row: columns.time = 'event_time' is one of source.explode.columns",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(
    make_world: Make, changes: dict[str, Any], says: str
) -> None:
    world = make_world(**changes)
    with pytest.raises(ConfigError) as error:
        load_config(world.params, env={})
    assert says in str(error.value)
