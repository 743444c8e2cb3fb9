"""The doctor stages a real day, and says what its roles make of it and what a first run lacks."""

import json
import sys
from collections.abc import Callable

import pandas as pd
import pytest

from driftune.cli import main
from driftune.deployment.roles import SeenRoles, see_roles
from tests.conftest import REFERENCE_DAYS, World, impressions

Make = Callable[..., World]


def seen(world: World, frame: pd.DataFrame | None = None) -> SeenRoles:
    """What is seen of a world whose newest reference day is this one."""
    for number in range(REFERENCE_DAYS):
        world.write(world.day(number), frame if number == REFERENCE_DAYS - 1 else None)
    return see_roles(world.config)


def lines(found: SeenRoles) -> dict[str, bool]:
    return {finding["what"]: finding["ok"] for finding in found.findings}


def test_every_role_is_shown_beside_what_was_delivered(make_world: Make) -> None:
    world = make_world(columns={"domain": {"sql": "upper(scene)"}, "click": {"sql": "click = 1"}})
    frame = impressions(world.day(2)).assign(price="7")
    frame.loc[0, "price"] = " 9.50"
    found = seen(world, frame)
    roles = {each.role: each for each in found.roles}
    assert roles["price"].source == "price"
    assert ("7", "7.0") in roles["price"].values
    assert (" 9.50", "9.5") in roles["price"].values
    assert roles["domain"].source == "(upper(scene))"
    assert {value for _, value in roles["domain"].values} == {"HOME", "SEARCH"}
    assert sum(domain.rows for domain in found.domains) == 1200
    assert found.domains[0] == max(found.domains, key=lambda domain: domain.rows)
    assert all(len(role.values) <= 10 for role in found.roles)
    assert lines(found) == {
        f"source: 1 file(s) of {world.day(2)}, 13 columns": True,
        "roles: 0 of 1,200 rows would go to quarantine": True,
        "domains: 2 of 2 have 150 rows and 30 clicks a day, as drift needs them": True,
    }


def test_a_day_that_would_be_refused_is_no_ok(make_world: Make) -> None:
    world = make_world()
    frame = impressions(world.day(2))
    frame["click"] = frame["click"].astype("int64")
    frame.loc[:399, "click"] = 7
    (line,) = [line for line in lines(seen(world, frame)) if line.startswith("roles")]
    assert "400 of 1,200 rows would go to quarantine (click_label 400)" in line
    assert "more than quality.max_rejected_share (0.2)" in line
    assert "correct columns.click in params.yaml" in line


@pytest.mark.parametrize(
    ("label", "said"), [(0, "no row has a click"), (1, "every row is a click")]
)
@pytest.mark.few(1)
def test_labels_that_teach_nothing_are_no_ok(make_world: Make, label: int, said: str) -> None:
    world = make_world()
    found = seen(world, impressions(world.day(2)).assign(click=label, ordered=0))
    assert [line for line, ok in lines(found).items() if not ok and said in line]


def test_an_optional_column_that_is_not_delivered_is_null(make_world: Make) -> None:
    world = make_world()
    found = seen(world, impressions(world.day(2)).drop(columns=["price"]))
    (price,) = [each for each in found.roles if each.role == "price"]
    assert price.values == [(None, None)]


def test_a_day_that_has_no_room_is_no_ok(make_world: Make) -> None:
    world = make_world(resources={"memory": "1MB"})
    (line,) = [line for line, ok in lines(seen(world)).items() if not ok]
    assert "raise resources.memory" in line


def test_clicks_alone_are_no_problem_where_negatives_are_drawn(make_world: Make) -> None:
    world = make_world(negatives={"per_positive": 2, "from": "domain_day"})
    found = seen(world, impressions(world.day(2)).assign(click=1, ordered=0))
    assert all(lines(found).values())


def test_domains_that_are_too_small_say_what_is_needed(make_world: Make) -> None:
    world = make_world(drift={"min_rows": 5_000})
    (line,) = [line for line, ok in lines(seen(world)).items() if not ok]
    assert line.startswith("domains: 0 of 4 have 5,000 rows and 30 clicks a day")
    assert "choose larger ones (columns.domain), or lower drift.min_rows" in line


def test_reference_days_without_files_are_named(make_world: Make) -> None:
    world = make_world()
    world.write(world.day(2))
    (line,) = [line for line, ok in lines(see_roles(world.config)).items() if not ok]
    assert line.startswith(f"reference: 2 of 3 days have no file ({world.day(0)}, {world.day(1)})")


def test_a_source_that_is_not_there_is_one_line(make_world: Make) -> None:
    found = see_roles(make_world().config)
    (line,) = lines(found)
    assert "no file at logs" in line
    assert not lines(found)[line]


@pytest.mark.slow
@pytest.mark.ci
def test_the_command_prints_them_and_gives_them_as_json(
    make_world: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = make_world()
    seen(world)
    for more in ([], ["--json"]):
        monkeypatch.setattr(sys, "argv", ["driftune", "doctor", "-c", str(world.params), *more])
        with pytest.raises(SystemExit):
            main()
        said = capsys.readouterr().out
        if more:
            given = json.loads(said)
            assert {row["domain"]: row["rows"] for row in given["domains"]}.keys() == {
                *("home · north", "home · south", "search · north", "search · south")
            }
            assert [role["role"] for role in given["roles"]][:3] == ["user", "item", "time"]
        else:
            assert "as read" in said
            # A number is shown as it was delivered where both say the same.
            (line,) = [line for line in said.splitlines() if " position " in line]
            assert "1 | " in line
            assert "1.0" not in line
            assert "home · north" in said


def test_side_tables_show_their_values_and_missing_keys(make_world: Make) -> None:
    table = {"uri": "users.csv", "key": "user_id", "columns": ["age"], "as_of": "latest"}
    share = {"of_age": {"sql": "price / users.age"}}
    world = make_world(
        tables={"users": table}, features={"numerical": {"age": "users.age"} | share}
    )
    users = pd.DataFrame({"user_id": [f"u{n}" for n in range(100)], "age": "31"})
    users.to_csv(world.root / "users.csv", index=False)
    frame = impressions(world.day(2))
    missing = int((frame["user_id"].str[1:].astype(int) >= 100).sum())
    found = seen(world, frame)
    said = f"tables: users has 100 rows (users.csv) and lacks the 'user_id' of {missing:,} of 1,200"
    (line,) = [line for line in lines(found) if line.startswith("tables")]
    assert line == f"{said} rows ({missing / 1200:.2%})"
    assert lines(found)[line]
    shown = {each.source: each.values for each in found.roles if each.role == "feature"}
    assert set(shown["users.age"]) == {(None, "31.0"), (None, None)}
    assert "of_age: price / users.age" in shown


@pytest.mark.slow
@pytest.mark.ci
def test_a_side_table_that_no_row_finds_a_key_in_is_no_ok(make_world: Make) -> None:
    table = {"uri": "users.csv", "key": "user_id", "columns": ["age"], "as_of": "latest"}
    world = make_world(tables={"users": table})
    (world.root / "users.csv").write_text("user_id,age\n1,31\n")
    (line,) = [line for line in lines(seen(world)) if line.startswith("tables")]
    assert "1,200 of 1,200 rows (100.00%)" in line
    assert line.endswith("correct tables.users.key and matches: ids are compared as written")
    assert not lines(seen(world))[line]


@pytest.mark.parametrize(("separator", "fine"), [("|", True), (" ", False)])
@pytest.mark.few(1)
def test_lists_that_are_not_taken_apart_are_no_ok(
    make_world: Make, separator: str, fine: bool
) -> None:
    world = make_world(
        source={"explode": {"columns": {"item_id": "shown"}, "separator": separator}}
    )
    frame = impressions(world.day(2), rows=300).assign(shown="a|b").drop(columns=["item_id"])
    for number in range(REFERENCE_DAYS):
        world.write(world.day(number), frame)
    found = [line for line, ok in lines(see_roles(world.config)).items() if not ok]
    assert [line for line in found if line.startswith("lists")] == (
        []
        if fine
        else [
            "lists: each of 300 lists has one element, such as 'a|b'; see to "
            "source.explode.separator and source.explode.columns"
        ]
    )


def test_negatives_beside_what_was_shown_are_told(make_world: Make) -> None:
    world = make_world(negatives={"per_positive": 2, "from": "domain_day"})
    said = [line for line in lines(seen(world)) if line.startswith("negatives: WARNING")]
    assert len(said) == 1
    assert "leave negatives out" in said[0]
