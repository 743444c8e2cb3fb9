"""Side tables and features in params.yaml: what is taken, and what is refused in one line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from driftune.config.loading import load_config
from driftune.errors import ConfigError
from tests.config.refusals import refusal
from tests.conftest import FIRST, World

Make = Callable[..., World]
USERS = {"uri": "users-{day}.csv", "key": "id", "columns": ["age"]}


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ({"as_of": "now"}, "tables.users.as_of = 'now': must be 'day', 'day_before' or 'latest'"),
        ({"uri": "users.csv", "as_of": "day_before"}, "uri must contain {day}"),
        ({"uri": "users-{day:%H}.csv", "as_of": "latest"}, "%H is no part of a day"),
        ({"uri": "https://me:secret@x/u-{day}.csv"}, "DVC would keep its password in dvc.lock"),
        ({"uri": "users.csv"}, "uri must contain {day}; for a file of no day write as_of: latest"),
        ({"uri": "users-{day:%d}.csv"}, "gives several days one name"),
        ({"columns": []}, "tables.users.columns = []: must not be empty"),
        ({"columns": ["age", "Age"]}, "names 'Age' twice; leave one out"),
        ({"columns": [""]}, "tables.users.columns = ['']: is empty"),
        ({"kye": "id"}, "unknown key 'tables.users.kye'"),
        ({"csv": {"delimeter": ";"}}, "unknown key 'tables.users.csv.delimeter'"),
    ],
)
def test_a_wrong_table_is_one_line(make_world: Make, table: dict[str, Any], why: str) -> None:
    assert why in refusal(make_world, tables={"users": USERS | table})


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("my users", "'my users' is no name of a table; use letters, digits and _"),
        ("a.b", "'a.b' is no name of a table"),
        ("1st", "'1st' is no name of a table"),
        ("_driftune_x", "'_driftune_x' is no name of a table"),
        ("user", "'user' is a role; call the table otherwise, such as users"),
    ],
)
def test_a_table_has_a_name_that_an_expression_can_write(
    make_world: Make, name: str, why: str
) -> None:
    assert why in refusal(make_world, tables={name: USERS})


def test_tables_differ_in_more_than_case(make_world: Make) -> None:
    line = refusal(make_world, tables={"users": USERS, "Users": USERS})
    assert "'users' and 'Users' differ only in case" in line


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"columns": {"category": "users.agee"}}, "columns.category"),
        ({"columns": {"domain": ["scene", "users.agee"]}}, "columns.domain"),
        ({"features": {"numerical": ["users.agee"]}}, "features.numerical.users.agee"),
        ({"features": {"categorical": {"a": "users.agee"}}}, "features.categorical.a"),
    ],
)
def test_a_column_that_a_table_lacks_is_named(
    make_world: Make, changes: dict[str, Any], key: str
) -> None:
    line = refusal(make_world, tables={"users": USERS}, **changes)
    assert f"{key}: 'users.agee' is no column of tables.users; there are age" in line


@pytest.mark.parametrize(
    ("features", "why"),
    [
        ({"numerical": {"a b": {"sql": "price"}}}, "'a b' is no name of a feature"),
        ({"numerical": {"a": {"sql": ""}}}, "features.numerical.a"),
        ({"numerical": {"a": {"sql": "sum(price)"}}}, "features.numerical.a.sql = 'sum(price)'"),
        (
            {"categorical": {"a": {"sql": "(SELECT content FROM read_text('/etc/passwd'))"}}},
            "selects from read_text, which is not allowed",
        ),
        ({"numerical": {"a": {"sql": "price; DROP TABLE raw"}}}, "is no expression"),
        ({"numerical": {"a": {"sql": "price", "x": 1}}}, "unknown key"),
        ({"numerical": {"a": 7}}, "features.numerical.a"),
    ],
)
def test_a_wrong_feature_is_one_line(make_world: Make, features: dict[str, Any], why: str) -> None:
    assert why in refusal(make_world, features=features)


def test_names_of_columns_and_features_with_what_gives_them(make_world: Make) -> None:
    plain = make_world(features={"categorical": ["restaurant_id"], "numerical": ["a", "b"]})
    features = plain.config.features
    assert [*features.categorical, *features.numerical] == ["restaurant_id", "a", "b"]
    # What is kept of a configuration with names alone is what it was.
    assert features.model_dump()["numerical"] == ["a", "b"]
    given = {"a": "x", "b": {"sql": "x + 1"}}
    named = make_world(features={"numerical": given}).config
    assert named.features.model_dump()["numerical"] == given
    assert named.expressions() == {"x_b": "x + 1"}
    assert named.expression_key("x_b") == "features.numerical.b.sql"


def test_homes_and_variables_in_a_tables_path_are_filled_in(
    make_world: Make, tmp_path: Path
) -> None:
    table = {**USERS, "uri": "$DATA/users-{day}.csv"}
    world = make_world(tables={"users": table})
    config = load_config(world.params, env={"DATA": str(tmp_path)})
    assert config.table_uri("users", FIRST) == f"{tmp_path}/users-{FIRST}.csv"
    with pytest.raises(ConfigError, match=r"tables\.users\.uri = .*DATA is not set"):
        load_config(world.params, env={})


def test_dvc_tracks_the_tables(make_world: Make) -> None:
    with pytest.raises(ConfigError, match="'tables' is tracked by DVC"):
        load_config(make_world().params, env={"DRIFTUNE__TABLES__USERS__KEY": "x"})


def test_tables_of_months_are_taken(make_world: Make) -> None:
    for as_of in ("latest", "day_before"):
        table = {**USERS, "uri": "users-{day:%Y-%m}.csv", "as_of": as_of}
        assert make_world(tables={"users": table}).config.tables["users"].as_of == as_of


def test_a_password_is_in_no_message(make_world: Make) -> None:
    table = {**USERS, "uri": "s3://me:secret@x/u-{day}.csv"}
    assert "secret" not in refusal(make_world, tables={"users": table})
