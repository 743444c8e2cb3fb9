"""Days whose columns differ from those before: new ones, missing ones, other types."""

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from driftune.config.quality import CHANGE_RULES
from driftune.config.workspace import Workspace
from driftune.errors import DayRefusedError, LakeError, SourceError
from driftune.intake.ingest import ingest
from driftune.io import write_text
from driftune.lake.table import Lake
from driftune.quality.record import DayQuality
from driftune.registry.ledger import Ledger
from tests.anywhere import anywhere
from tests.checkpoint import judged_plainly
from tests.conftest import World, impressions, made_once
from tests.lake.lakes import checksum
from tests.marks import CI

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


@pytest.fixture(scope="session")
def _with_numbers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def make(folder: Path) -> None:
        with judged_plainly():
            run(World(folder), 0, numbered)

    return made_once(tmp_path_factory, "with-numbers", make)


@pytest.fixture
def with_numbers(_with_numbers: Path, tmp_path: Path) -> World:
    """A world whose first day names users by whole numbers: a copy of one made once."""
    return World.copied(_with_numbers, tmp_path / "numbers")


def users(world: World, number: int) -> set[str]:
    with anywhere() as con:
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
    with anywhere() as con:
        table = Lake.of(with_numbers.config).relation([with_numbers.day(1)])
        assert con.execute(f"SELECT count(*), count(price) FROM {table}").fetchone() == (1200, 0)


def test_a_missing_needed_column_is_one_line(with_numbers: World) -> None:
    with pytest.raises(SourceError, match=r"column 'category' \(columns.category"):
        run(with_numbers, 1, lambda frame: numbered(frame).drop(columns="category"))


@pytest.mark.parametrize(
    "kind", ["float64", pytest.param("str", marks=CI), pytest.param("int16", marks=CI)]
)
def test_another_type_is_cast_when_no_value_is_lost(with_numbers: World, kind: str) -> None:
    quality = run(with_numbers, 1, lambda frame: numbered(frame).astype({"user_id": kind}))
    assert quality.rejected == 0
    # Floats that are whole are whole numbers.
    assert [severity for severity, _ in told(quality)] == ["warning"] * (kind == "str")
    wanted = numbered(impressions(with_numbers.day(1)))["user_id"]
    assert users(with_numbers, 1) == set(wanted.astype(str))


@pytest.mark.parametrize(
    ("kind", "value"), [("float64", 1.5), pytest.param("str", "u7", marks=CI), ("str", "007")]
)
def test_another_type_that_loses_a_value_is_critical(
    with_numbers: World, kind: str, value: object
) -> None:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        changed = numbered(frame).astype({"user_id": kind})
        changed.loc[40, "user_id"] = value
        return changed

    before = checksum(with_numbers.config)
    wanted = rf"'user_id' keeps its type: .*'{re.escape(str(value))}' in logs/.* does not fit"
    with pytest.raises(DayRefusedError, match=wanted) as error:
        run(with_numbers, 1, change)
    assert "\n" not in str(error.value)
    assert checksum(with_numbers.config) == before


def lake_rows(world: World, number: int, columns: str) -> list[tuple[object, ...]]:
    """Distinct values of a day in the lake, read with every column that the lake has."""
    view = Lake.of(world.config)
    with anywhere() as con:
        table = view.whole_relation(con, [world.day(number)])
        return con.execute(f"SELECT DISTINCT {columns} FROM {table} ORDER BY ALL").fetchall()


def test_a_new_column_is_kept_and_null_on_days_before(with_numbers: World) -> None:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        return numbered(frame).assign(campaign="spring", price2=7, tags=[["a", "b"]] * len(frame))

    quality = run(with_numbers, 1, change)
    assert "kept in the lake as d_campaign" in told(quality)[0][1]
    columns = "d_campaign, d_price2, d_tags"
    assert lake_rows(with_numbers, 1, columns) == [("spring", 7, '["a","b"]')]
    assert lake_rows(with_numbers, 0, columns) == [(None, None, None)]
    run(with_numbers, 2, numbered)
    assert lake_rows(with_numbers, 2, columns) == [(None, None, None)]


@pytest.mark.slow
@pytest.mark.ci
def test_a_kept_column_that_is_gone_is_reported_once(with_numbers: World) -> None:
    run(with_numbers, 1, lambda frame: numbered(frame).assign(campaign="spring"))
    ((severity, sentence),) = told(run(with_numbers, 2, numbered))
    assert (severity, "'campaign' is not any more" in sentence) == ("warning", True)
    assert told(run(with_numbers, 3, numbered)) == []


def test_columns_that_no_role_names_can_be_left_out(with_numbers: World) -> None:
    world = World(with_numbers.root, source={"keep_columns": False})
    quality = run(world, 1, lambda frame: numbered(frame).assign(campaign="spring"))
    assert "kept" not in told(quality)[0][1]
    with anywhere() as con:
        assert "d_campaign" not in Lake.of(world.config).types(con)


def test_a_kept_column_never_meets_one_of_the_lakes_own(with_numbers: World) -> None:
    names = ["domain_key", "hour", "day", "f_restaurant_id", "Row_ID", "reasons"]
    names += ['a" b, (c)=;', "\u9910\u5385", "x" * 300]

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        return numbered(frame).assign(**dict.fromkeys(names, "mine"))

    plain = lake_rows(with_numbers, 0, "domain_key")
    run(with_numbers, 1, change)
    assert lake_rows(with_numbers, 1, "domain_key") == plain
    with anywhere() as con:
        types = Lake.of(with_numbers.config).types(con)
    kept = [name for name in types if name.startswith("d_")]
    assert len(kept) == len(names)
    assert all(re.fullmatch(r"[\w-]{1,64}", name) for name in kept)
    listed = ", ".join(f'"{name}"' for name in kept)
    assert lake_rows(with_numbers, 1, listed) == [("mine",) * len(names)]


def test_a_column_without_a_value_does_not_fix_its_type(with_numbers: World) -> None:
    run(with_numbers, 1, lambda frame: numbered(frame).assign(campaign=None))
    run(with_numbers, 2, lambda frame: numbered(frame).assign(campaign=1.5))
    assert lake_rows(with_numbers, 2, "d_campaign") == [(1.5,)]


@pytest.mark.parametrize(
    ("then", "wanted"), [("7", 7), pytest.param(7.0, 7, marks=CI), pytest.param(7, 7, marks=CI)]
)
def test_a_kept_column_of_another_type_is_cast(
    with_numbers: World, then: object, wanted: int
) -> None:
    run(with_numbers, 1, lambda frame: numbered(frame).assign(campaign=5))
    quality = run(with_numbers, 2, lambda frame: numbered(frame).assign(campaign=then))
    assert [severity for severity, _ in told(quality)] == ["warning"] * (then is not wanted)
    assert lake_rows(with_numbers, 2, "d_campaign") == [(wanted,)]


def test_a_kept_column_that_does_not_fit_its_type_is_critical(with_numbers: World) -> None:
    run(with_numbers, 1, lambda frame: numbered(frame).assign(campaign=5))

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        return numbered(frame).assign(campaign="spring\nsale")

    with pytest.raises(DayRefusedError, match=r"'campaign' keeps .* 'spring sale' in") as error:
        run(with_numbers, 2, change)
    assert "\n" not in str(error.value)
    easy = World(with_numbers.root, quality={"severity": {"column_lossy": "warning"}})
    run(easy, 2, change)
    assert lake_rows(easy, 2, "d_campaign") == [(None,)]


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("zone", [None, pytest.param("UTC", marks=CI)])
def test_times_that_are_too_fine_for_a_kept_column_are_critical(
    with_numbers: World, zone: str | None
) -> None:
    def at(text: str) -> Change:
        return lambda frame: numbered(frame).assign(shown=pd.Timestamp(text, tz=zone))

    run(with_numbers, 1, at("2026-03-03 08:00:00.123456"))
    wanted = r"'shown' keeps its type: .*123456789.* does not fit"
    with pytest.raises(DayRefusedError, match=wanted):
        run(with_numbers, 2, at("2026-03-04 08:00:00.123456789"))
    easy = World(with_numbers.root, quality={"severity": {"column_lossy": "warning"}})
    run(easy, 2, at("2026-03-04 08:00:00.123456789"))
    assert lake_rows(easy, 2, "d_shown") == [(None,)]


@pytest.mark.few(1)
@pytest.mark.parametrize(("first", "then"), [("Weight", "weight"), ("Größe (cm)", "größe (CM)")])
def test_a_kept_column_of_another_case_is_the_same_column(
    with_numbers: World, first: str, then: str
) -> None:
    run(with_numbers, 1, lambda frame: numbered(frame).assign(**{first: 1.5}))
    with anywhere() as con:
        before = Lake.of(with_numbers.config).types(con)
    ((severity, sentence),) = told(
        run(with_numbers, 2, lambda frame: numbered(frame).assign(**{then: 2.5}))
    )
    assert severity == "warning"
    assert f"'{then}' was '{first}' on the day before" in sentence
    assert told(run(with_numbers, 3, lambda frame: numbered(frame).assign(**{then: 3.5}))) == []
    with anywhere() as con:
        assert Lake.of(with_numbers.config).types(con) == before
    (name,) = [name for name in before if name.startswith("d_")]
    values = [lake_rows(with_numbers, number, f'"{name}"') for number in (1, 2, 3)]
    assert values == [[(1.5,)], [(2.5,)], [(3.5,)]]


@pytest.mark.slow
@pytest.mark.ci
def test_text_names_that_become_numbers_are_cast_where_they_read_the_same(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    run(world, 0, lambda frame: numbered(frame).astype({"user_id": "str"}))
    quality = run(world, 1, numbered)
    ((severity, sentence),) = told(quality)
    assert (severity, "every value reads as then" in sentence) == ("warning", True)
    quality = run(world, 2, lambda frame: numbered(frame).astype({"user_id": "float64"}))
    assert all(name.isdigit() for name in users(world, 2))


@pytest.mark.parametrize(
    "name",
    [
        "user_id",
        pytest.param("restaurant_id", marks=CI),
        "category",
        pytest.param("region", marks=CI),
    ],
)
def test_text_names_that_a_number_cannot_tell_are_critical(
    ingested_world: World, name: str
) -> None:
    world = ingested_world
    with pytest.raises(DayRefusedError, match=rf"'{name}' keeps its type: it was VARCHAR and is"):
        run(world, 3, lambda frame: frame.assign(**{name: range(len(frame))}))


def test_names_with_leading_zeros_do_not_become_numbers(make_world: Callable[..., World]) -> None:
    world = make_world()
    run(world, 0, lambda frame: frame.assign(user_id="00" + frame["user_id"].str[1:]))
    with pytest.raises(DayRefusedError, match=rf"'00\d*' on {world.day(0)} does not fit"):
        run(world, 1, numbered)


def test_a_name_that_becomes_a_struct_is_critical(with_numbers: World) -> None:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(user_id=[{"id": name} for name in frame["user_id"]])

    with pytest.raises(DayRefusedError, match=r"'user_id' keeps its type: .* is STRUCT"):
        run(with_numbers, 1, change)


@pytest.mark.slow
@pytest.mark.ci
def test_a_change_of_names_can_be_accepted(ingested_world: World) -> None:
    world = World(ingested_world.root, quality={"severity": {"column_lossy": "warning"}})
    quality = run(world, 3, numbered)
    assert (quality.verdict, quality.rejected) == ("warning", 0)
    assert all(name.isdigit() for name in users(world, 3))
    assert told(run(world, 4, numbered)) == []


@pytest.mark.slow
@pytest.mark.ci
def test_text_files_that_no_longer_fit_a_number_are_critical(with_numbers: World) -> None:
    world = World(with_numbers.root, source={"uri": "logs/{day}.csv"})

    def delivered(change: Change) -> DayQuality:
        frame = change(numbered(impressions(world.day(1))))
        write_text(world.root / "logs" / f"{world.day(1)}.csv", frame.to_csv(index=False))
        with Ledger(world.config) as ledger:
            return ingest(world.config, ledger, world.day(1)).quality

    with pytest.raises(DayRefusedError, match="'user_id' keeps its type"):
        delivered(lambda frame: frame.assign(user_id="00" + frame["user_id"].astype(str)))
    assert told(delivered(lambda frame: frame)) == []


@pytest.mark.few(1)
@pytest.mark.parametrize("text", ["", "[]", '{"sealed": true, "types": {}}'])
def test_a_damaged_record_of_columns_is_one_line_until_its_day_is_taken_in_again(
    ingested_world: World, text: str
) -> None:
    world, damaged = ingested_world, ingested_world.day(2)
    write_text(Workspace(world.config).columns(damaged), text)
    # What is not named like a day is no record.
    write_text(Workspace(world.config).columns(damaged).with_name(f"{damaged}x.json"), "{}")
    with pytest.raises(LakeError, match=f"columns is damaged.*driftune run --day {damaged}"):
        run(world, 3, lambda frame: frame.assign(device="phone"))
    run(world, 2, lambda frame: frame)
    quality = run(world, 3, lambda frame: frame.assign(device="phone"))
    ((_, sentence),) = told(quality)
    assert "'device'" in sentence
