"""Staging: part files of many shapes, expressions over text files, times and their zone."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from driftune.config.workspace import Workspace
from driftune.errors import SourceError
from driftune.intake import stage as staging
from driftune.intake.duplicates import find_copies
from driftune.intake.ingest import ingest
from driftune.lake.duck import connect
from driftune.lake.source import fetch
from driftune.quality.record import DayQuality
from driftune.registry.ledger import Ledger
from tests.anywhere import anywhere
from tests.conftest import FIRST, World, impressions
from tests.marks import CI

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
    with connect(staged.database, reach=staged.reach) as con:
        rows = con.execute(
            "SELECT user_id, item_id, click_label, file_row FROM staged ORDER BY row_id"
        ).fetchall()
        extra = con.execute("SELECT count(price), count(campaign) FROM raw").fetchone()
    assert extra == (200, 200)
    clicks = [*map(str, frame["click"][:200]), "maybe", *map(str, frame["click"][201:])]
    expected = zip(frame["user_id"], frame["item_id"], clicks, strict=True)
    assert [row[:3] for row in rows] == list(expected)
    assert [row[3] for row in rows] == [*range(1, 201)] * 2


def test_parquet_is_not_copied_into_the_staged_day(make_world: Make, tmp_path: Path) -> None:
    world = make_world(source={"uri": "logs/{day}-*.parquet"})
    frame = impressions(FIRST, rows=160_000)
    for number in range(8):
        part = frame[number * 20_000 : number * 20_000 + 20_000]
        part.to_parquet(world.root / "logs" / f"{FIRST}-{number}.parquet", index=False)
    staged = staged_days(world, tmp_path)
    delivered = sum(path.stat().st_size for path in (world.root / "logs").iterdir())
    assert staged.rows == 160_000
    assert staged.database.stat().st_size < delivered / 2


def test_copies_of_rows_are_found_across_files_of_any_format(
    make_world: Make, tmp_path: Path
) -> None:
    world = make_world(source={"uri": "logs/{day}-*"}, timezone="Asia/Shanghai")
    frame = impressions(FIRST, rows=600)[["user_id", *impressions(FIRST, rows=1).columns[1:]]]
    frame = frame.astype(str)
    frame[:400].to_parquet(world.root / "logs" / f"{FIRST}-a.parquet", index=False)
    frame[390:][frame.columns[::-1]].to_csv(world.root / "logs" / f"{FIRST}-b.csv", index=False)
    staged = staged_days(world, tmp_path)
    with connect(staged.database, reach=staged.reach) as con:
        rejected = con.execute(
            "SELECT file_row, reasons, copy_number FROM staged WHERE rejected = 1 ORDER BY file_row"
        ).fetchall()
    assert rejected == [(number, "duplicate", 2) for number in range(1, 11)]


@pytest.mark.parametrize("pass_rows", [50, 10_000])
def test_copies_are_the_same_in_one_pass_and_in_many(pass_rows: int) -> None:
    rng = np.random.default_rng(7)
    values = rng.integers(0, 40, (300, 2))
    with anywhere() as con:
        con.execute("CREATE TABLE given (_driftune_id BIGINT, a BIGINT, b BIGINT)")
        con.execute(
            "INSERT INTO given SELECT unnest($1), unnest($2), unnest($3)",
            [np.arange(300), values[:, 0], values[:, 1]],
        )
        con.execute("CREATE VIEW raw AS SELECT *, hash(a, b) AS _driftune_fingerprint FROM given")
        find_copies(con, ["a", "b"], 300, pass_rows)
        found = con.execute("SELECT row_id FROM copies WHERE copy_number > 1 ORDER BY 1").fetchall()
    frame = pd.DataFrame(values)
    assert [row for (row,) in found] == np.flatnonzero(frame.duplicated()).tolist()


@pytest.mark.slow
@pytest.mark.ci
def test_a_day_larger_than_memory(make_world: Make) -> None:
    world = make_world(resources={"memory": "80MB"})
    frame = impressions(FIRST, rows=250_000)
    world.write(FIRST, frame)
    quality = run(world)
    assert (quality.rows, quality.rejected) == (250_000, int(frame.duplicated().sum()))
    assert list(Workspace(world.config).staging.iterdir()) == []


def test_delivered_columns_may_have_any_name(make_world: Make) -> None:
    world = make_world(features={"categorical": ["_file"]})
    frame = impressions(FIRST, rows=300).assign(_file="theirs", _row=-1, row_id=7)
    frame.loc[0, "click"] = 3
    world.write(FIRST, frame)
    assert reasons(run(world)) == {"click_label": 1}
    kept = pd.read_parquet(Workspace(world.config).quarantine(FIRST))
    assert kept["_file"].tolist() == [f"logs/{FIRST}.parquet"]
    assert kept["_row"].tolist() == [1]
    with anywhere() as con:
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
    with anywhere() as con:
        held = f"{Workspace(world.config).lake}/**/*.parquet"
        found = con.execute(f"SELECT DISTINCT item_id, length(user_id) FROM '{held}'").fetchall()
    assert found == [("i900719925474099312345", 5)]


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("value", "seen", "says"),
    [
        ("007", "VARCHAR", r"'007'; expressions see all as text"),
        ("n/a", "BIGINT", r"'n/a'; expressions see BIGINT, and null for those"),
        ("1.5", "DOUBLE", None),
        ("", "BIGINT", None),
    ],
)
def test_a_value_of_another_form_than_most_is_told(
    make_world: Make, value: str, seen: str, says: str | None
) -> None:
    frame = impressions(FIRST, rows=300).assign(size=[value, *map(str, range(1, 300))])
    quality = run(csv_world(make_world, frame, category={"sql": "typeof(size)"}))
    told = [check["sentence"] for check in quality.checks if check["rule"] == "column_mixed"]
    assert len(told) == (says is not None)
    assert says is None or re.search(says, told[0])
    with anywhere() as con:
        held = f"{Workspace(make_world().config).lake}/**/*.parquet"
        found = con.execute(f"SELECT DISTINCT category FROM '{held}'").fetchall()
    assert found == [(seen,)]


def test_an_expression_over_text_that_is_no_number_is_one_line(make_world: Make) -> None:
    frame = impressions(FIRST, rows=300)
    world = csv_world(make_world, frame, price={"sql": "category * 2"})
    with pytest.raises(SourceError, match=r"cannot be computed.*correct columns") as it:
        run(world)
    assert "\n" not in str(it.value)


# Times


def local_day() -> pd.DataFrame:
    """A day whose times are the wall clock's, two of its rows in the hours around midnight."""
    frame = impressions(FIRST, rows=400)
    frame.loc[0, "event_time"] = pd.Timestamp(FIRST) + timedelta(minutes=1)
    frame.loc[399, "event_time"] = pd.Timestamp(FIRST) + timedelta(hours=23, minutes=59)
    return frame


@pytest.mark.few(2)
@pytest.mark.parametrize("offset", [False, True])
@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_days_on_which_clocks_change(make_world: Make, day: str, hours: int, offset: bool) -> None:
    zone = "Europe/Berlin"
    window = {"first": day, "last": day, "holdout": 0.1}
    world = make_world(timezone=zone, reference=window)
    start = pd.Timestamp(day, tz=zone)
    instants = start + pd.to_timedelta(np.arange(hours * 60), unit="min")
    frame = impressions(FIRST, rows=len(instants))
    frame["event_time"] = instants if offset else instants.tz_localize(None)
    frame.to_parquet(world.root / "logs" / f"{day}.parquet", index=False)
    with Ledger(world.config) as ledger:
        quality = ingest(world.config, ledger, date.fromisoformat(day)).quality
    assert (quality.rows, quality.rejected) == (hours * 60, 0)
    # The hour from 2 to 3 is skipped in spring; in autumn it comes twice.
    assert quality.hours == sorted(set(range(24)) - ({2} if hours == 23 else set()))
    with anywhere() as con:
        held = f"{Workspace(world.config).lake}/**/*.parquet"
        low, high = con.execute(
            f"SELECT min(event_time)::TIMESTAMP, max(event_time)::TIMESTAMP FROM '{held}'"
        ).fetchone()
    assert (pd.Timestamp(low, tz="UTC"), pd.Timestamp(high, tz="UTC")) == (
        instants.min(),
        instants.max(),
    )


@pytest.mark.few(2)
@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize("offset", [False, True])
@pytest.mark.parametrize(
    "zone",
    [
        pytest.param("Asia/Shanghai", marks=CI),
        "America/New_York",
        pytest.param("UTC", marks=CI),
    ],
)
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
    with anywhere() as con:
        held = f"{Workspace(world.config).lake}/**/*.parquet"
        low, high = con.execute(
            f"SELECT min(event_time)::TIMESTAMP, max(event_time)::TIMESTAMP FROM '{held}'"
        ).fetchone()
    assert pd.Timestamp(low, tz="UTC") == instants.min()
    assert pd.Timestamp(high, tz="UTC") == instants.max()


def test_delivered_columns_may_be_called_anything(make_world: Make) -> None:
    world = make_world()
    frame = impressions(FIRST, rows=600).assign(delivered=True, rowid=3, raw=1, staged=2)
    frame.loc[5, "click"] = 7
    world.write(FIRST, frame)
    quality = run(world)
    assert sum(reasons(quality).values()) == 1
    kept = pd.read_parquet(Workspace(world.config).quarantine(FIRST))
    assert kept[["delivered", "rowid", "raw", "staged"]].to_numpy().tolist() == [[True, 3, 1, 2]]


@pytest.mark.parametrize("is_line_broken", [False, True])
def test_delivered_columns_may_be_called_like_those_of_the_quarantine(
    make_world: Make, is_line_broken: bool
) -> None:
    frame = impressions(FIRST, rows=100).assign(_row="mine", _LINE="yours", _text="ours", d__row=1)
    frame.loc[3, "click"] = 7
    world = csv_world(make_world, frame)
    path = world.root / "logs" / f"{FIRST}.csv"
    if is_line_broken:
        path.write_text(path.read_text() + "no,row\n")
    run(world)
    with anywhere() as con:
        found = con.execute(
            "SELECT _reasons, _row, d_d__row, d__LINE, d__text, d__row "
            f"FROM '{Workspace(world.config).quarantine(FIRST)}' WHERE _row IS NOT NULL"
        ).fetchall()
    assert found == [("click_label", 4, "mine", "yours", "ours", "1")]


def test_an_infinite_time_is_unreadable(make_world: Make) -> None:
    world = make_world()
    path = world.write(FIRST, impressions(FIRST, rows=600))
    with anywhere() as con:
        con.execute(f"CREATE TABLE t AS FROM '{path}'")
        con.execute("UPDATE t SET event_time = 'infinity'::TIMESTAMP WHERE rowid < 4")
        con.execute(f"COPY t TO '{path}' (FORMAT parquet)")
    rejections = run(world).rejections
    assert {row["reason"] for row in rejections} == {"time_unreadable"}
    assert sum(row["rows"] for row in rejections) == 4
