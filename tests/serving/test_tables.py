"""Side tables in a bundle: rows need their keys alone."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from driftune.domains import domain_key
from driftune.errors import ConfigError
from driftune.project import Project
from driftune.serving import RowsError, Scorer
from driftune.serving.check import check_bundle
from driftune.serving.export import export
from driftune.serving.manifest import read_manifest
from driftune.serving.registered import columns
from tests.conftest import REFERENCE_DAYS, World, made_once
from tests.serving.conftest import ORDER, Bundled, bundled, pretrained

TABLES = {
    "users": {"uri": "users-{day}.parquet", "key": "user_id", "columns": ["age", "plan"],
              "as_of": "day_before"},
    "shops": {"uri": "shops.csv", "key": "id", "matches": "shop", "columns": ["size", "city"],
              "as_of": "latest"},
}  # fmt: skip
DOMAIN = ["scene", "users.plan"]
FEATURES = {
    "categorical": {"plan": "users.plan", "city": "shops.city", "shop": "shop"},
    "numerical": {"age": "users.age", "size": "shops.size"},
}


USERS = [*(f"u{n}" for n in range(150)), "nobody"]
PLANS = {user: n % 3 for n, user in enumerate(USERS)}


def tables(world: World, number: int) -> None:
    users = pd.DataFrame({"user_id": USERS, "plan": PLANS.values()})
    ages = [None if n % 9 == 0 else n + number for n in range(len(USERS))]
    users["age"] = pd.array(ages, "Int64")
    users.to_parquet(world.root / f"users-{world.day(number)}.parquet")


@pytest.fixture(scope="session")
def _tabled(tmp_path_factory):
    def make(folder):
        world = World(folder, tables=TABLES, features=FEATURES, columns={"domain": DOMAIN})
        shops = pd.DataFrame({"id": range(-5, 30), "size": 1.5, "city": "Köln"})
        shops.loc[shops.id % 4 == 0, "size"] = None
        shops.to_csv(folder / "shops.csv", index=False)
        for number in range(-1, REFERENCE_DAYS):
            tables(world, number)
        pretrained(world)
        bundled(world)

    return made_once(tmp_path_factory, "tabled", make)


@pytest.fixture
def tabled(_tabled):
    world = World.at(_tabled)
    return Bundled(world, _tabled / "bundle", world.day(REFERENCE_DAYS))


@pytest.mark.slow
@pytest.mark.ci
def test_their_columns_come_from_the_bundle(tabled):
    p_click, _ = tabled.expected()
    frame = tabled.rows.to_pandas()
    names = [
        f"{scene} · {PLANS[user]}" for scene, user in zip(frame.scene, frame.user_id, strict=True)
    ]
    frame["key"] = [domain_key(name) for name in names]
    frame = frame.sort_values(["event_time", "key", *ORDER[2:]], kind="stable")
    rows = pa.Table.from_pandas(frame.drop(columns="key"), preserve_index=False)
    found = Scorer.open(tabled.bundle).score(rows)
    np.testing.assert_array_equal(found["p_click"].to_numpy(), p_click)


def test_rows_without_a_key_s_column_are_refused_in_one_line(tabled):
    with pytest.raises(RowsError, match=r"'shop' \(tables\.shops\), which a side table needs"):
        Scorer.open(tabled.bundle).score(tabled.rows.drop_columns(["shop"]))


def test_a_bundle_with_tables_is_not_compared_and_says_so(tabled):
    with Project(tabled.world.config) as project:
        assert "its scores are not compared" in check_bundle(project, tabled.bundle)


@pytest.mark.slow
@pytest.mark.ci
def test_a_table_in_an_expression_is_refused_in_one_line(tabled, tmp_path):
    features = {**FEATURES, "numerical": {"age": {"sql": "users.age"}, "size": "shops.size"}}
    world = World.copied(tabled.world.root, tmp_path / "copy")
    world = World(world.root, tables=TABLES, features=features, columns={"domain": DOMAIN})
    with Project(world.config) as project, pytest.raises(ConfigError, match=r"tables\.users is"):
        export(project, world.root / "other")


def test_the_signature_of_a_registered_bundle_has_the_keys_and_no_column_of_a_table(tabled):
    with Project(tabled.world.config) as project:
        found = {each.name: each for each in columns(project, read_manifest(tabled.bundle))}
    assert found["shop"].needed and found["user_id"].needed
    assert not {"age", "plan", "size", "city"} & {name.rpartition(".")[2] for name in found}
    row = {name: each.example for name, each in found.items()} | {"user_id": "u1"}
    (scored,) = Scorer.open(tabled.bundle).score([row]).to_pylist()
    assert 0 < scored["p_click"] < 1
