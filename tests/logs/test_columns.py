"""Days whose columns differ from those before: new ones, missing ones, other types."""

import re
from collections.abc import Callable

import pandas as pd
import pytest

from driftune.errors import DayRefusedError, SourceError
from driftune.files import write_text
from driftune.logs.duck import connect
from driftune.logs.ingest import ingest
from driftune.logs.lake import Lake
from driftune.quality.record import DayQuality
from driftune.quality.settings import CHANGE_RULES
from driftune.registry.ledger import Ledger
from driftune.workspace import Workspace
from tests.conftest import World, impressions
from tests.logs.lakes import checksum

Change = Callable[[pd.DataFrame], pd.DataFrame]


def run(world: World, number: int, change: Change) -> DayQuality:
    day = world.day(number)
    world.write(day, change(impressions(day)))
    with Ledger(world.config) as ledger:
        return ingest(world.config, ledger, day).quality


def told(quality: DayQuality) -> list[tuple[str, str]]:
    """Severity and sentence of what is said of columns."""
    return [
        (check["severity"], check["sentence"])
        for check in quality.checks
        if check["rule"] in CHANGE_RULES
    ]


def numbered(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with users as whole numbers."""
    return frame.assign(user_id=frame["user_id"].str.removeprefix("u").astype("int64"))


@pytest.fixture
def with_numbers(make_world: Callable[..., World]) -> World:
    """A world whose first day names users by whole numbers."""
    world = make_world()
    run(world, 0, numbered)
    return world


def users(world: World, number: int) -> set[str]:
    with connect() as con:
        table = Lake.of(world.config).relation([world.day(number)])
        return {name for (name,) in con.execute(f"SELECT DISTINCT user_id FROM {table}").fetchall()}


def test_a_new_column_is_reported_on_the_first_day_that_has_it(with_numbers: World) -> None:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        return numbered(frame).assign(campaign="spring")

    ((severity, sentence),) = told(run(with_numbers, 1, change))
    assert severity == "warning"
    assert "'campaign' (VARCHAR)" in sentence
    assert told(run(with_numbers, 2, change)) == []


def test_how_severe_a_new_column_is_can_be_set(with_numbers: World) -> None:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        return numbered(frame).assign(campaign="spring")

    quiet = World(with_numbers.root, quality={"severity": {"column_new": "off"}})
    assert told(run(quiet, 1, change)) == []


def test_a_missing_optional_column_is_null_and_reported(with_numbers: World) -> None:
    quality = run(with_numbers, 1, lambda frame: numbered(frame).drop(columns="price"))
    assert told(quality) == [
        ("warning", "Every optional column is there: 'price' (columns.price) is not; it is null.")
    ]
    with connect() as con:
        table = Lake.of(with_numbers.config).relation([with_numbers.day(1)])
        assert con.execute(f"SELECT count(*), count(price) FROM {table}").fetchone() == (1200, 0)


def test_a_missing_needed_column_is_one_line(with_numbers: World) -> None:
    with pytest.raises(SourceError, match=r"column 'category' \(columns.category"):
        run(with_numbers, 1, lambda frame: numbered(frame).drop(columns="category"))


@pytest.mark.parametrize("kind", ["float64", "str", "int16"])
def test_another_type_is_cast_when_no_value_is_lost(with_numbers: World, kind: str) -> None:
    quality = run(with_numbers, 1, lambda frame: numbered(frame).astype({"user_id": kind}))
    assert quality.rejected == 0
    assert [severity for severity, _ in told(quality)] == ["warning"] * (kind != "int16")
    wanted = numbered(impressions(with_numbers.day(1)))["user_id"]
    assert users(with_numbers, 1) == set(wanted.astype(str))


@pytest.mark.parametrize(("kind", "value"), [("float64", 1.5), ("str", "u7"), ("str", "007")])
def test_another_type_that_loses_a_value_is_critical(
    with_numbers: World, kind: str, value: object
) -> None:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        changed = numbered(frame).astype({"user_id": kind})
        changed.loc[40, "user_id"] = value
        return changed

    before = checksum(with_numbers.config)
    wanted = rf"'user_id' keeps its type: in logs/.*'{re.escape(str(value))}' does not fit"
    with pytest.raises(DayRefusedError, match=wanted) as error:
        run(with_numbers, 1, change)
    assert "\n" not in str(error.value)
    assert checksum(with_numbers.config) == before


@pytest.mark.parametrize("text", ["", "[]"])
def test_a_damaged_record_of_columns_is_passed_over(ingested_world: World, text: str) -> None:
    world = ingested_world
    write_text(Workspace(world.config).columns(world.day(2)), text)
    write_text(
        Workspace(world.config).columns(world.day(2)).with_name(f"{world.day(2)}x.json"), "{}"
    )
    quality = run(world, 3, lambda frame: frame.assign(device="phone"))
    ((_, sentence),) = told(quality)
    assert "'device'" in sentence
