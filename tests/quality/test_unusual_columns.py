"""What stands out of columns and of the day, by name; clean days pass."""

from collections.abc import Callable
from datetime import date
from uuid import NAMESPACE_OID, uuid5

import numpy as np
import pandas as pd
import pytest

from driftune.config.workspace import Workspace
from driftune.errors import ConfigError, DayRefusedError, LakeError
from driftune.intake.ingest import ingest
from driftune.io import read_json, write_json, write_text
from driftune.quality.usual import history_of
from driftune.registry.ledger import Ledger
from tests.conftest import World, impressions
from tests.marks import CI
from tests.quality.days import broken, run


def put(column: str, value: object, share: float = 0.02) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def spoil(frame: pd.DataFrame) -> pd.DataFrame:
        frame.loc[: int(share * len(frame)) - 1, column] = value
        return frame

    return spoil


def cents(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(price=frame["price"] * 100)


def moved_rows(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(
        user_id=np.where(np.arange(len(frame)) % 20 == 0, frame["item_id"], frame["user_id"])
    )


def lunch_lost(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[~frame["event_time"].dt.hour.between(11, 13)]


@pytest.mark.parametrize(
    ("spoil", "rule", "about"),
    [
        (put("category", None), "column_nulls", ["category"]),
        pytest.param(put("price", np.nan), "column_nulls", ["price"], marks=CI),
        (put("category", "hovercraft"), "column_new_values", ["category"]),
        pytest.param(
            put("restaurant_id", "r999"), "column_new_values", ["restaurant_id"], marks=CI
        ),
        (put("user_id", "u7", 0.05), "column_frequent", ["user_id"]),
        (put("user_id", "guest"), "column_format", ["user_id"]),
        (put("price", -3.0), "column_outliers", ["price"]),
        (put("propensity", 7.0), "column_range", ["propensity"]),
        pytest.param(cents, "column_outliers", ["price"], marks=CI),
        pytest.param(moved_rows, "column_format", ["user_id"], marks=CI),
        (put("category", "noodles", 0.9), "column_drift", ["category"]),
        (lunch_lost, "hours_missing", []),
    ],
)
@pytest.mark.slow
@pytest.mark.ci
def test_what_is_unusual_is_a_warning_that_names_it(
    ingested_world: World, spoil, rule: str, about: list[str]
) -> None:
    world, day = ingested_world, ingested_world.day(3)
    world.write(day, spoil(impressions(day)))
    quality = run(world, day).quality
    assert quality.verdict == "warning"
    assert broken(quality)[rule]["about"] == about
    assert broken(quality)[rule]["detail"]
    assert any(str(broken(quality)[rule]["detail"]) in line for line in quality.problems())


@pytest.mark.slow
@pytest.mark.ci
def test_an_hour_that_the_clock_skips_is_not_missed(make_world: Callable[..., World]) -> None:
    days = [date(2026, 3, number) for number in range(26, 31)]
    window = {"first": f"{days[0]}", "last": f"{days[2]}"}
    world = make_world(timezone="Europe/Berlin", reference=window)
    # The clock skips the hour from 2 to 3 on the 29th; on the 30th rows of it are lost.
    lost = {days[3]: [2], days[4]: [2, 14]}
    for day in days:
        frame = impressions(day)
        world.write(day, frame[~frame["event_time"].dt.hour.isin(lost.get(day, []))])
        found = broken(run(world, day).quality).get("hours_missing", {})
        assert found.get("detail") == ("no rows in hours 2, 14" if day == days[4] else None)


@pytest.mark.slow
@pytest.mark.ci
def test_a_day_that_is_a_copy_of_another_is_refused(ingested_world: World) -> None:
    world, day = ingested_world, ingested_world.day(3)
    before = impressions(world.day(2))
    world.write(day, before.assign(event_time=before["event_time"] + pd.Timedelta("1D")))
    with pytest.raises(DayRefusedError, match=rf"same users, .* as {world.day(2)}"):
        run(world, day)


@pytest.mark.slow
@pytest.mark.ci
def test_days_taken_in_before_there_were_profiles_count_by_their_records(
    ingested_world: World,
) -> None:
    world, day = ingested_world, ingested_world.day(3)
    workspace = Workspace(world.config)
    for number in range(3):
        workspace.quality_profile(world.day(number)).unlink()
        path = workspace.quality(world.day(number))
        record = read_json(path)
        write_json(path, {key: record[key] for key in record if key not in ("refused", "released")})
    history = history_of(world.config, day)
    assert [set(each["domains"]) for each in history.profiles] == [
        {"home · north", "home · south", "search · north", "search · south"}
    ] * 3
    frame = impressions(day)
    world.write(day, frame[frame["scene"] != "home"])
    assert set(broken(run(world, day).quality)["domain_gone"]["about"]) == {
        "home · north",
        "home · south",
    }


@pytest.mark.parametrize("text", ['{"format": 1}', '{"format": 1, "day": "x", "domains": {}}'])
def test_a_profile_of_another_format_counts_by_its_day_s_record(
    ingested_world: World, text: str
) -> None:
    world = ingested_world
    write_text(Workspace(world.config).quality_profile(world.day(1)), text)
    history = history_of(world.config, world.day(3))
    assert [each["day"] for each in history.profiles] == [str(world.day(n)) for n in range(3)]
    assert [bool(each["columns"]) for each in history.profiles] == [True, False, True]


@pytest.mark.parametrize("text", ["{", '{"sealed": true, "format": 1}'])
@pytest.mark.slow
@pytest.mark.ci
def test_a_damaged_profile_is_one_line_until_its_day_is_taken_in_again(
    ingested_world: World, text: str
) -> None:
    world, damaged = ingested_world, ingested_world.day(1)
    write_text(Workspace(world.config).quality_profile(damaged), text)
    with pytest.raises(LakeError, match=f"figures are damaged.*driftune run --day {damaged}"):
        history_of(world.config, world.day(3))
    with Ledger(world.config) as ledger:
        ingest(world.config, ledger, damaged)
    assert len(history_of(world.config, world.day(3)).profiles) == 3


@pytest.mark.slow
@pytest.mark.ci
def test_an_expectation_of_one_s_own_is_run_on_the_columns_as_delivered(
    ingested_world: World,
) -> None:
    extra = {
        "expectation": "ExpectColumnValuesToBeInSet",
        "column": "scene",
        "value_set": ["home"],
        "severity": "info",
        "sentence": "Every impression is of the home scene.",
    }
    world = World(ingested_world.root, quality={"extra": [extra]})
    day = world.day(3)
    world.write(day)
    check = broken(run(world, day).quality)["extra_0"]
    assert (check["severity"], check["about"]) == ("info", ["scene"])
    assert check["unexpected"] == (impressions(day)["scene"] != "home").sum()


@pytest.mark.parametrize("given", [{"colum": "scene"}, {"column": "scene", "notes": "mine"}])
def test_wrong_arguments_of_an_expectation_are_one_line(
    ingested_world: World, given: dict[str, str]
) -> None:
    extra = {"expectation": "ExpectColumnValuesToBeInSet", **given, "sentence": "No."}
    world = World(ingested_world.root, quality={"extra": [extra]})
    day = world.day(3)
    world.write(day)
    with pytest.raises(ConfigError, match=r"quality\.extra\.0: ExpectColumnValuesToBeInSet"):
        run(world, day)


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("extra", "why"),
    [
        ({"expectation": "ExpectColumnValuesToNotBeNull", "column": "scen"}, '"scen"'),
        (
            {"expectation": "ExpectColumnMeanToBeBetween", "column": "user_id", "min_value": 1},
            "No function matches",
        ),
    ],
)
@pytest.mark.slow
@pytest.mark.ci
def test_an_expectation_that_cannot_be_computed_is_broken_and_says_why(
    ingested_world: World, extra: dict[str, object], why: str
) -> None:
    world = World(ingested_world.root, quality={"extra": [{**extra, "sentence": "It holds."}]})
    day = world.day(3)
    world.write(day)
    quality = run(world, day).quality
    check = broken(quality)["extra_0"]
    assert check["detail"].startswith("could not be computed: ")
    assert why in check["detail"]
    assert all("\n" not in line for line in quality.problems())


@pytest.mark.slow
@pytest.mark.ci
def test_ids_that_are_uuids_look_alike_in_every_case(ingested_world: World) -> None:
    world = ingested_world
    found = []
    for number in range(3, 7):
        frame = impressions(world.day(number))
        named = [str(uuid5(NAMESPACE_OID, user)).upper() for user in frame["user_id"]]
        world.write(world.day(number), frame.assign(user_id=named))
        found.append("column_format" in broken(run(world, world.day(number)).quality))
    # The first day's ids look like none before them.
    assert found == [True, False, False, False]
