"""Staging: part files of many shapes, expressions over text files, times and their zone."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from driftune.errors import SourceError
from driftune.logs import staging
from driftune.logs.duck import connect
from driftune.logs.ingest import ingest
from driftune.logs.source import fetch
from driftune.quality.record import DayQuality
from driftune.registry.ledger import Ledger
from driftune.workspace import Workspace
from tests.conftest import FIRST, World, impressions

Make = Callable[..., World]
ORDERED = {"convert": {"sql": "click * ordered"}}


def run(world: World) -> DayQuality:
    with Ledger(world.config) as ledger:
        return ingest(world.config, ledger, FIRST).quality


def csv_world(make_world: Make, frame: pd.DataFrame, **columns: Any) -> World:
    """A world whose first day is one CSV file."""
    world = make_world(source={"uri": "logs/{day}.csv"}, columns=columns)
    frame.to_csv(world.root / "logs" / f"{FIRST}.csv", index=False)
    return world


def reasons(quality: DayQuality) -> dict[str, int]:
    return {row["reason"]: row["rows"] for row in quality.rejections}


def staged_days(world: World, tmp_path: Path) -> staging.Staged:
    fetched = fetch(world.config, FIRST, tmp_path / "scratch")
    return staging.stage(world.config, fetched, None, tmp_path / "day.duckdb")


# Part files


def test_part_files_of_different_columns_and_types_make_one_day(
    make_world: Make, tmp_path: Path
) -> None:
    world = make_world(source={"uri": "logs/{day}-*.parquet"}, columns={"price": None})
    frame = impressions(FIRST, rows=400)
    texts = frame[200:].astype({"click": str}).drop(columns="price").assign(campaign="spring")
    texts.loc[200, "click"] = "maybe"
    texts = texts[list(reversed(texts.columns))]
    frame[:200].to_parquet(world.root / "logs" / f"{FIRST}-a.parquet", index=False)
    texts.to_parquet(world.root / "logs" / f"{FIRST}-b.parquet", index=False)
    staged = staged_days(world, tmp_path)
    with connect(staged.database) as con:
        rows = con.execute(
            "SELECT user_id, item_id, click_label, file_row FROM staged ORDER BY row_id"
        ).fetchall()
        extra = con.execute("SELECT count(price), count(campaign) FROM raw").fetchone()
    assert extra == (200, 200)
    clicks = [*map(str, frame["click"][:200]), "maybe", *map(str, frame["click"][201:])]
    expected = zip(frame["user_id"], frame["item_id"], clicks, strict=True)
    assert [row[:3] for row in rows] == list(expected)
    assert [row[3] for row in rows] == [*range(1, 201)] * 2


def test_loading_writes_each_part_file_once(
    make_world: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(source={"uri": "logs/{day}-*.parquet"})
    frame = impressions(FIRST, rows=400)
    for number in range(8):
        part = frame[number * 50 : number * 50 + 50]
        part.to_parquet(world.root / "logs" / f"{FIRST}-{number}.parquet", index=False)
    executed: list[str] = []

    class Recording:
        def __init__(self, con: Any) -> None:
            self.con = con

        def execute(self, sql: str, *values: Any) -> Any:
            executed.append(sql)
            return self.con.execute(sql, *values)

    @contextmanager
    def recorded(*arguments: Any, **named: Any) -> Iterator[Recording]:
        with connect(*arguments, **named) as con:
            yield Recording(con)

    monkeypatch.setattr(staging, "connect", recorded)
    staged = staged_days(world, tmp_path)
    assert staged.rows == 400
    written = [sql.split()[0] for sql in executed if re.search(r"(TABLE|INTO) raw\b", sql)]
    assert written == ["CREATE", *["INSERT"] * 8]


def test_delivered_columns_may_have_any_name(make_world: Make) -> None:
    world = make_world(features={"categorical": ["_file"]})
    frame = impressions(FIRST, rows=300).assign(_file="theirs", _row=-1, row_id=7)
    frame.loc[0, "click"] = 3
    world.write(FIRST, frame)
    assert reasons(run(world)) == {"click_label": 1}
    kept = pd.read_parquet(Workspace(world.config).quarantine(FIRST))
    assert kept["_file"].tolist() == [f"logs/{FIRST}.parquet"]
    assert kept["_row"].tolist() == [1]
    with connect() as con:
        held = f"{Workspace(world.config).lake}/**/*.parquet"
        found = con.execute(f"SELECT DISTINCT f__file FROM '{held}'").fetchall()
    assert found == [("theirs",)]


# Expressions over text files


def test_an_expression_over_csv_sees_numbers(make_world: Make) -> None:
    frame = impressions(FIRST, rows=400)
    quality = run(csv_world(make_world, frame, **ORDERED))
    assert (quality.verdict, quality.rejected) == ("ok", 0)
    converted = int((frame["click"] * frame["ordered"]).sum())
    assert sum(row["conversions"] for row in quality.domains) == converted > 0


def test_a_broken_value_under_an_expression_goes_to_quarantine_with_its_text(
    make_world: Make,
) -> None:
    frame = impressions(FIRST, rows=400).astype({"click": str, "ordered": str, "price": str})
    frame.loc[3, "click"] = "yes please"
    frame.loc[5, "ordered"] = "n/a"
    frame.loc[9, "price"] = "cheap"
    world = csv_world(make_world, frame, **ORDERED, price={"sql": "price * 100"})
    quality = run(world)
    assert (quality.verdict, quality.rejected) == ("warning", 2)
    assert reasons(quality) == {"click_label": 1, "convert_label": 2}
    kept = pd.read_parquet(Workspace(world.config).quarantine(FIRST)).set_index("_row")
    assert kept.loc[4, "click"] == "yes please"
    assert kept.loc[6, "ordered"] == "n/a"
    example = next(row for row in quality.examples if row["file_row"] == 4)
    assert example["click"] == "yes please"


def test_codes_keep_their_text(make_world: Make) -> None:
    frame = impressions(FIRST, rows=300)
    frame["user_id"] = [f"{n % 40:05d}" for n in range(300)]
    frame["item_id"] = "900719925474099312345"
    world = csv_world(
        make_world,
        frame,
        domain={"sql": "'shop ' || user_id"},
        item={"sql": "'i' || item_id"},
        category={"sql": "lower(category)"},
    )
    quality = run(world)
    assert quality.rejected == 0
    assert {row["domain"] for row in quality.domains} == {f"shop {n:05d}" for n in range(40)}
    with connect() as con:
        held = f"{Workspace(world.config).lake}/**/*.parquet"
        found = con.execute(f"SELECT DISTINCT item_id, length(user_id) FROM '{held}'").fetchall()
    assert found == [("i900719925474099312345", 5)]


def test_an_expression_over_text_that_is_no_number_is_one_line(make_world: Make) -> None:
    frame = impressions(FIRST, rows=300)
    world = csv_world(make_world, frame, price={"sql": "category * 2"})
    with pytest.raises(SourceError, match=r"a column role cannot be computed.*mend columns") as it:
        run(world)
    assert "\n" not in str(it.value)


# Times


def local_day() -> pd.DataFrame:
    """A day whose times are the wall clock's, two of its rows in the hours around midnight."""
    frame = impressions(FIRST, rows=400)
    frame.loc[0, "event_time"] = pd.Timestamp(FIRST) + timedelta(minutes=1)
    frame.loc[399, "event_time"] = pd.Timestamp(FIRST) + timedelta(hours=23, minutes=59)
    return frame


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize("offset", [False, True])
@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York", "UTC"])
def test_times_without_an_offset_are_in_the_configured_zone(
    make_world: Make, suffix: str, offset: bool, zone: str
) -> None:
    world = make_world(source={"uri": "logs/{day}." + suffix}, timezone=zone)
    frame = local_day()
    instants = frame["event_time"].dt.tz_localize(zone)
    path = world.root / "logs" / f"{FIRST}.{suffix}"
    if suffix == "parquet":
        frame.assign(event_time=instants if offset else frame["event_time"]).to_parquet(path)
    else:
        shown = instants if offset else frame["event_time"]
        frame = frame.assign(event_time=shown.map(lambda time: time.isoformat()))
        if suffix == "csv":
            frame.to_csv(path, index=False)
        else:
            frame.to_json(path, orient="records", lines=True)
    quality = run(world)
    assert (quality.rejected, quality.hours) == (0, list(range(24)))
    with connect() as con:
        held = f"{Workspace(world.config).lake}/**/*.parquet"
        low, high = con.execute(
            f"SELECT min(event_time)::TIMESTAMP, max(event_time)::TIMESTAMP FROM '{held}'"
        ).fetchone()
    assert pd.Timestamp(low, tz="UTC") == instants.min()
    assert pd.Timestamp(high, tz="UTC") == instants.max()
