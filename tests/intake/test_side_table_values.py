"""Side tables: bad cells, forms and shares, the day before, and what a release holds for."""

import pandas as pd
import pytest

from driftune.errors import SourceError
from driftune.intake.release import release_day
from driftune.registry.ledger import Ledger
from tests.conftest import FIRST, impressions
from tests.intake.test_side_tables import USERS, Make, in_lake, put, small, taken_in, users


def test_a_bad_cell_of_a_table_is_null_and_told_and_no_row_is_rejected(make_world: Make) -> None:
    world = small(make_world, "csv")
    world.write(FIRST)
    bad = users().astype({"age": object})
    bad.loc[7, "age"] = "old"
    put(world.root / f"tables/users-{FIRST}.csv", bad)
    quality = taken_in(world).quality
    assert quality.rejected == 0
    ages = dict(in_lake(world, "user_id, x_age"))
    assert ages["u7"] is None
    assert ages["u8"] == 26
    (check,) = [check for check in quality.checks if check["rule"] == "table_value_unreadable"]
    assert (check["severity"], check["unexpected"]) == ("warning", 1)
    assert "Every users.age is a number: 1 of the values in tables/users-" in check["sentence"]
    assert "(table users) are none, such as 'old'" in check["sentence"]


def test_the_form_of_a_tables_column_is_that_of_its_file(make_world: Make) -> None:
    numerical = {"size": {"sql": "length(users.segment)"}}
    world = small(make_world, "csv", features={"numerical": numerical}, columns={})
    frame = impressions(FIRST)
    world.write(FIRST, frame)
    # The day joins numbers alone; the file has codes.
    table = users(400).assign(segment=["10" if n < 150 else "007" for n in range(400)])
    put(world.root / f"tables/users-{FIRST}.csv", table)
    taken_in(world)
    assert {size for (size,) in in_lake(world, "x_size")} == {2.0}


def test_an_empty_key_is_none_and_a_few_missing_ones_are_no_warning(make_world: Make) -> None:
    table = {"uri": "t-{day}.csv", "key": "k", "matches": "region", "columns": ["v"]}
    known = {"sql": "CASE WHEN places IS NULL THEN 'no' ELSE 'yes' END"}
    world = make_world(
        tables={"places": table},
        features={"categorical": {"known": known}},
        columns={"domain": "scene"},
    )
    put(world.root / f"t-{FIRST}.csv", pd.DataFrame({"k": ["a"], "v": [None], "w": [1]}))
    frame = impressions(FIRST, rows=3000).assign(region="a")
    frame.loc[:999, "region"] = ""
    frame.loc[2999, "region"] = "b"
    world.write(FIRST, frame)
    quality = taken_in(world).quality
    checks = {check["rule"]: check for check in quality.checks}
    assert "table_key_missing" not in checks
    found = checks["table_key_few"]
    assert (found["severity"], found["unexpected"]) == ("info", 1)
    assert "lacks the 'region' of 1 of 2,000 rows" in found["sentence"]
    # The key is there, though each of its columns is null.
    told = [value for (value,) in in_lake(world, "f_known")]
    assert told == ["yes" if region == "a" else "no" for region in frame["region"]]


@pytest.mark.parametrize("form", ["{day}", "{day:%Y-%m}"])
def test_the_day_before_never_reads_the_days_own_table(make_world: Make, form: str) -> None:
    table = {**USERS, "uri": f"tables/users-{form}.parquet", "as_of": "day_before"}
    world = small(make_world, tables={"users": table}, features={"numerical": ["users.age"]},
                  columns={})  # fmt: skip
    day = world.day(1)
    world.write(day)
    if form == "{day}":
        put(world.root / f"tables/users-{FIRST}.parquet", users().assign(age=30))
        put(world.root / f"tables/users-{day}.parquet", users().assign(age=50))
    else:
        put(world.root / f"tables/users-{FIRST:%Y-%m}.parquet", users().assign(age=30))
    taken_in(world, day)
    assert {age for (age,) in in_lake(world, '"x_users.age"', day)} == {30}
    if form == "{day}":
        world.write(FIRST)
        with pytest.raises(SourceError, match=r"or of the 60 days before, which tables\.users"):
            taken_in(world)


def test_a_release_is_of_the_table_of_no_day_that_was_read(make_world: Make) -> None:
    table = {**USERS, "uri": "tables/users.csv", "as_of": "latest"}
    ratio = {"sql": "price / (position - users.age)"}
    world = small(make_world, tables={"users": table}, features={"numerical": {"r": ratio}},
                  columns={})  # fmt: skip
    put(world.root / "tables/users.csv", users().assign(age=1))
    frame = impressions(FIRST).assign(position=2)
    frame.loc[[3, 40, 41], "position"] = 1
    world.write(FIRST, frame)
    assert taken_in(world).quality.rejected == 3
    put(world.root / "tables/users.csv", users().assign(age=1, more=0))
    with Ledger(world.config) as ledger:
        found = release_day(world.config, ledger, FIRST, ["number_unreadable"], [], "seen")
    assert (found.changed, found.quality.rejected) == (True, 0)
    # The table changes: the day stays as it is, with its release.
    put(world.root / "tables/users.csv", users().assign(age=5))
    assert not taken_in(world).changed
    # Its logs are delivered anew: what was released was of others.
    frame.loc[[3, 40, 41], "position"] = 5
    world.write(FIRST, frame)
    assert taken_in(world).quality.rejected == 3
