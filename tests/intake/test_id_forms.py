"""An id has one writing, whatever format, type or expression it comes in, on every day."""

from collections.abc import Callable
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from driftune.intake.ingest import ingest
from driftune.lake.table import Lake
from driftune.quality.record import DayQuality
from driftune.registry.ledger import Ledger
from tests.anywhere import anywhere
from tests.conftest import World, impressions

Make = Callable[..., World]
ROWS = 1_200

NUMBERS = np.arange(ROWS) % 60


@pytest.fixture
def world(make_world: Make) -> World:
    return make_world(source={"uri": "logs/{day}/*"}, reference={"uri": None})


def taken_in(world: World, number: int, files: dict[str, Any]) -> DayQuality:
    """A day of files, in which a column or some (by name) have other values."""
    day = world.day(number)
    folder = world.root / "logs" / str(day)
    folder.mkdir(parents=True)
    size = ROWS // len(files)
    for place, (name, changed) in enumerate(files.items()):
        frame = impressions(day)[place * size : (place + 1) * size].reset_index(drop=True)
        for column, values in changed.items():
            frame[column] = values[:size]
        if name.endswith(".csv"):
            frame.to_csv(folder / name, index=False)
        elif name.endswith(".jsonl"):
            frame.astype({"event_time": str}).to_json(folder / name, orient="records", lines=True)
        else:
            pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), folder / name)
    with Ledger(world.config) as ledger:
        return ingest(world.config, ledger, day).quality


def users(world: World, number: int) -> set[str]:
    with anywhere() as con:
        rows = Lake.of(world.config).relation([world.day(number)])
        return {user for (user,) in con.execute(f"SELECT user_id FROM {rows}").fetchall()}


def broken(quality: DayQuality) -> dict[str, str]:
    return {check["rule"]: check["sentence"] for check in quality.checks if not check["success"]}


@pytest.mark.parametrize("other", ["b.csv", "b.jsonl", "b.parquet"])
def test_floats_of_a_column_with_gaps_are_its_whole_numbers(world: World, other: str) -> None:
    floats = NUMBERS.astype(float)
    floats[::50] = np.nan
    files = {"a.parquet": {"user_id": floats}, other: {"user_id": NUMBERS}}
    quality = taken_in(world, 0, files)
    assert users(world, 0) == {str(number) for number in range(60)}
    assert quality.rejected == np.isnan(floats[: ROWS // 2]).sum()
    assert "column_mixed" not in broken(quality)


def test_a_uuid_has_one_writing_though_a_value_of_another_form_is_among_them(world: World) -> None:
    ids = [uuid5(NAMESPACE_OID, f"u{number}") for number in NUMBERS]
    if not hasattr(pa, "uuid"):
        pytest.skip("this pyarrow has no type for UUIDs")
    day = world.day(0)
    folder = world.root / "logs" / str(day)
    folder.mkdir(parents=True)
    frame = pa.Table.from_pandas(impressions(day), preserve_index=False)
    column = pa.array([one.bytes for one in ids], pa.uuid())
    typed = frame.set_column(frame.column_names.index("user_id"), "user_id", column)
    pq.write_table(typed, folder / "a.parquet")
    with Ledger(world.config) as ledger:
        ingest(world.config, ledger, day)
    texts = [str(one).upper() for one in ids]
    texts[7] = "unknown"
    quality = taken_in(world, 1, {"a.csv": {"user_id": texts}})
    assert users(world, 1) == {*map(str, ids), "unknown"}
    assert "'unknown' in logs/" in broken(quality)["column_type"]


def test_numbers_among_which_some_are_written_otherwise_are_told(world: World) -> None:
    taken_in(world, 0, {"a.parquet": {"user_id": NUMBERS}})
    texts = [*map(str, NUMBERS)]
    texts[5:7] = ["7.0", "007"]
    quality = taken_in(world, 1, {"a.csv": {"user_id": texts}})
    assert {"7.0", "007", "7"} <= users(world, 1)
    assert "keeps its form: it was BIGINT" in broken(quality)["column_type"]


@pytest.mark.slow
@pytest.mark.ci
def test_a_column_that_was_away_for_a_day_keeps_its_form(world: World) -> None:
    lists = {"request_id": NUMBERS}
    taken_in(world, 0, {"a.parquet": lists})
    for change in ({}, {"request_id": NUMBERS.astype(float) + 0.0}):
        frame = change or {"request_id": [None] * ROWS}
        taken_in(world, 1 if not change else 2, {"a.parquet": frame})
    with anywhere() as con:
        rows = Lake.of(world.config).relation([world.day(0), world.day(2)])
        found = con.execute(f"SELECT DISTINCT request_id FROM {rows}").fetchall()
    assert {name for (name,) in found} == {str(number) for number in range(60)}


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_an_id_of_an_expression_does_not_follow_one_odd_value(
    make_world: Make, ending: str
) -> None:
    world = make_world(
        source={"uri": "logs/{day}/*"},
        reference={"uri": None},
        columns={"user": {"sql": "coalesce(user_id, 'nobody')"}},
    )
    texts = [*map(str, NUMBERS)]
    texts[9] = "12.5"
    taken_in(world, 0, {f"a.{ending}": {"user_id": pd.Series(texts)}})
    assert users(world, 0) == {*map(str, range(60)), "12.5"}
