"""Side tables: each row has the columns of the one row of its key, from every format, or nulls."""

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from driftune.config.workspace import Workspace
from driftune.errors import SourceError
from driftune.intake.ingest import Ingested, ingest
from driftune.lake.duck import connect
from driftune.lake.table import Lake
from driftune.registry.ledger import Ledger
from driftune.retention.erase import erase
from tests.conftest import FIRST, World, impressions

Make = Callable[..., World]
ROOT = Path(__file__).parents[2]
USERS = {"key": "id", "matches": "user_id", "columns": ["age", "segment"]}
ITEMS = {"key": "item_id", "columns": ["brand", "cost"]}


def users(count: int = 150) -> pd.DataFrame:
    """A table of users, the first of whom the logs may have."""
    ids = [f"u{n}" for n in range(count)]
    ages = [18 + n % 60 for n in range(count)]
    return pd.DataFrame({"id": ids, "age": ages, "segment": [f"0{n % 7}" for n in range(count)]})


def items(count: int = 60) -> pd.DataFrame:
    """A table of the items."""
    costs = [round(0.5 + n / 4, 2) for n in range(count)]
    return pd.DataFrame(
        {"item_id": [f"i{n}" for n in range(count)], "brand": [f"b{n % 5}" for n in range(count)],
         "cost": costs}
    )  # fmt: skip


def put(path: Path, frame: pd.DataFrame) -> Path:
    """Write a table in the format of the ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
    elif path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_json(path, orient="records", lines=True)
    return path


def small(make_world: Make, kind: str = "parquet", **changes: Any) -> World:
    """A world with both tables, of a day, whose columns are a role and features."""
    tables = {
        "users": {**USERS, "uri": f"tables/users-{{day}}.{kind}"},
        "items": {**ITEMS, "uri": f"tables/items-{{day}}.{kind}"},
    }
    features = {
        "categorical": {"segment": "users.segment", "brand": "items.brand"},
        "numerical": {"age": "users.age", "margin": {"sql": "price - items.cost"}},
    }
    given = {"tables": tables, "features": features, "columns": {"category": "items.brand"}}
    world = make_world(**(given | changes))
    put(world.root / f"tables/users-{FIRST}.{kind}", users())
    put(world.root / f"tables/items-{FIRST}.{kind}", items())
    return world


def taken_in(world: World, day: date = FIRST) -> Ingested:
    with Ledger(world.config) as ledger:
        return ingest(world.config, ledger, day)


def in_lake(world: World, columns: str, day: date = FIRST) -> list[tuple[Any, ...]]:
    """Columns of a day's rows, in the order of the lake."""
    view = Lake.of(world.config)
    with connect(reach=[view.place]) as con:
        return con.execute(f"SELECT {columns} FROM {view.relation([day])}").fetchall()


def joined(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    """What the lake should hold of a day: user, category, segment, brand, age, margin."""
    found = frame.merge(users(), how="left", left_on="user_id", right_on="id")
    found = found.merge(items(), how="left", on="item_id")
    found["margin"] = found["price"] - found["cost"]
    wanted = found[["user_id", "brand", "segment", "brand", "age", "margin"]].astype(object)
    return [tuple(row) for row in wanted.where(wanted.notna(), None).to_numpy().tolist()]


COLUMNS = "user_id, category, f_segment, f_brand, x_age, x_margin"


@pytest.mark.few(3)
@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize("logs", ["parquet", "csv"])
def test_every_row_has_the_values_of_its_keys(make_world: Make, kind: str, logs: str) -> None:
    world = small(make_world, kind, source={"uri": f"logs/{{day}}.{logs}"})
    frame = impressions(FIRST)
    put(world.root / "logs" / f"{FIRST}.{logs}", frame)
    quality = taken_in(world).quality
    assert (quality.rows, quality.rejected) == (1200, 0)
    found = in_lake(world, COLUMNS)
    assert [row[:5] for row in found] == [row[:5] for row in joined(frame)]
    margins = [row[5] for row in joined(frame)]
    assert [row[5] for row in found] == pytest.approx(margins)


@pytest.mark.slow
@pytest.mark.ci
def test_rows_keep_their_order_beside_a_table_that_is_larger_than_the_day(
    make_world: Make,
) -> None:
    world = small(make_world)
    put(world.root / f"tables/users-{FIRST}.parquet", users(200_000))
    frame = impressions(FIRST)
    world.write(FIRST, frame)
    taken_in(world)
    assert [row[0] for row in in_lake(world, "user_id")] == frame["user_id"].tolist()


def test_missing_keys_are_null_and_counted(make_world: Make) -> None:
    world = small(make_world)
    put(world.root / f"tables/users-{FIRST}.parquet", users(100))
    frame = impressions(FIRST)
    world.write(FIRST, frame)
    quality = taken_in(world).quality
    unknown = frame["user_id"].str[1:].astype(int) >= 100
    missing = int(unknown.sum())
    (check,) = [check for check in quality.checks if check["rule"] == "table_key_missing"]
    assert (check["severity"], check["unexpected"]) == ("warning", missing)
    said = f"tables/users-{FIRST}.parquet lacks the 'user_id' of {missing:,} of 1,200 rows"
    assert f"{said} ({missing / 1200:.2%})" in check["sentence"]
    ages = [age for (age,) in in_lake(world, "x_age")]
    assert [age is None for age in ages] == unknown.tolist()
    assert quality.rejected == 0


WRITINGS = ["7", "07", "7.0", "+7", "x", "X", " x", "é", "e\u0301", "", "NULL", "a,b", "'"]


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_keys_are_compared_by_their_writing(make_world: Make, kind: str) -> None:
    table = {"uri": f"t-{{day}}.{kind}", "key": "k", "matches": "region", "columns": ["v"]}
    world = make_world(
        tables={"places": table},
        features={"categorical": ["places.v"], "counters": {"per": []}},
        columns={"domain": "scene"},
    )
    # Rows without a key are nobody's, however many there are.
    keys = [*WRITINGS[:8], "", None, None]
    put(
        world.root / f"t-{FIRST}.{kind}",
        pd.DataFrame({"k": keys, "v": [f"<{key}>" for key in keys]}),
    )
    frame = impressions(FIRST)
    frame["region"] = [WRITINGS[n % len(WRITINGS)] for n in range(len(frame))]
    world.write(FIRST, frame)
    taken_in(world)
    expected = [f"<{key}>" if key in WRITINGS[:8] else None for key in frame["region"]]
    assert [value for (value,) in in_lake(world, '"f_places.v"')] == expected


def test_whole_numbers_find_the_same_key_in_every_type(make_world: Make) -> None:
    table = {"uri": "t-{day}.csv", "key": "k", "matches": "region", "columns": ["v"]}
    world = make_world(tables={"places": table}, features={"numerical": ["places.v"]},
                       columns={"domain": "scene"})  # fmt: skip
    put(world.root / f"t-{FIRST}.csv", pd.DataFrame({"k": range(10), "v": range(10)}))
    frame = impressions(FIRST)
    # A column with gaps, as pandas writes it.
    frame["region"] = [None if n % 10 == 3 else float(n % 10) for n in range(len(frame))]
    world.write(FIRST, frame)
    taken_in(world)
    found = [value for (value,) in in_lake(world, '"x_places.v"')]
    assert found == [None if n % 10 == 3 else n % 10 for n in range(len(frame))]


# What refuses a day


def refusal(world: World) -> str:
    with pytest.raises(SourceError) as refused:
        taken_in(world)
    line = str(refused.value)
    assert "\n" not in line
    assert Lake.of(world.config).days == []
    assert not list(Workspace(world.config).staging.glob("*/*"))
    return line


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_a_key_that_is_there_twice_refuses_the_day(make_world: Make, kind: str) -> None:
    world = small(make_world, kind)
    world.write(FIRST)
    put(world.root / f"tables/users-{FIRST}.{kind}", pd.concat([users(), users()[7:9]]))
    line = refusal(world)
    # Of a table of users no key is shown: it may be that of one who was erased.
    assert f"tables/users-{FIRST}.{kind}: one id is there 2 times" in line
    assert "tables.users needs a row a key" in line
    assert "u7" not in line
    put(world.root / f"tables/users-{FIRST}.{kind}", users())
    put(world.root / f"tables/items-{FIRST}.{kind}", pd.concat([items(), items()[7:9]]))
    assert "item_id = 'i7' is there 2 times" in refusal(world)


def test_a_table_that_is_gone_empty_or_another_refuses_the_day(make_world: Make) -> None:
    world = small(make_world, "csv")
    world.write(FIRST)
    path = world.root / f"tables/users-{FIRST}.csv"
    path.unlink()
    assert f"{FIRST}: no file at tables/users-{FIRST}.csv, which tables.users names" in (
        refusal(world)
    )
    path.touch()
    assert f"tables/users-{FIRST}.csv: the file is empty (0 bytes)" in refusal(world)
    path.write_text("id,age,segment\n")
    assert "the table tables.users holds no rows" in refusal(world)
    put(path, users().drop(columns="id"))
    assert "column 'id' (tables.users.key in params.yaml) is missing" in refusal(world)
    put(path, users().drop(columns="age"))
    line = refusal(world)
    assert "column 'age' (tables.users.columns in params.yaml) is missing" in line
    assert "the file has id, segment" in line
    path.write_text("id,age,segment\nu1,20,a\nu2,30\n")
    assert "1 of 2 lines are no rows; the first is line 3" in refusal(world)


def test_a_day_without_the_column_of_the_key_is_refused(make_world: Make) -> None:
    table = {"uri": "tables/users-{day}.parquet", "key": "id", "columns": ["age"]}
    world = small(make_world, tables={"users": table, "items": {**ITEMS, "uri": "i-{day}.csv"}})
    put(world.root / f"i-{FIRST}.csv", items())
    world = small(make_world, tables={"users": table}, features={"categorical": []}, columns={})
    world.write(FIRST)
    assert "column 'id' (tables.users.key in params.yaml) is missing" in refusal(world)


def test_a_column_of_the_logs_called_like_a_table_refuses_the_day(make_world: Make) -> None:
    world = small(make_world)
    world.write(FIRST, impressions(FIRST).assign(Users=1))
    assert "has the column 'Users', as tables.users in params.yaml is called" in refusal(world)


# Versions


def test_a_table_of_the_day_that_changes_changes_the_day(make_world: Make) -> None:
    world = small(make_world)
    world.write(FIRST)
    first = taken_in(world)
    assert not taken_in(world).changed
    put(world.root / f"tables/users-{FIRST}.parquet", users().assign(age=99))
    second = taken_in(world)
    assert (second.changed, second.revision) == (True, first.revision + 1)
    assert {age for (age,) in in_lake(world, "x_age")} == {99.0}
    put(world.root / f"tables/users-{FIRST}.parquet", users())
    assert taken_in(world).revision == second.revision + 1


@pytest.mark.slow
@pytest.mark.ci
def test_the_latest_table_is_that_of_the_newest_day_up_to_the_logs(make_world: Make) -> None:
    table = {**USERS, "uri": "tables/users-{day}.parquet", "as_of": "latest"}
    world = small(make_world, tables={"users": table}, features={"numerical": ["users.age"]},
                  columns={})  # fmt: skip
    for number, age in ((0, 30), (2, 50)):
        day = world.day(number)
        put(world.root / f"tables/users-{day}.parquet", users().assign(age=age))
    for number, age in ((0, 30), (1, 30), (2, 50), (3, 50)):
        day = world.day(number)
        world.write(day)
        taken_in(world, day)
        assert {age for (age,) in in_lake(world, '"x_users.age"', day)} == {age}
    # One that comes late for a day changes it, as a late delivery does.
    put(world.root / f"tables/users-{world.day(1)}.parquet", users().assign(age=40))
    assert taken_in(world, world.day(1)).changed
    assert not taken_in(world, world.day(2)).changed


def test_a_table_of_no_day_stays_for_days_that_are_in(make_world: Make) -> None:
    table = {**USERS, "uri": "tables/users.csv", "as_of": "latest"}
    world = small(make_world, tables={"users": table}, features={"numerical": ["users.age"]},
                  columns={})  # fmt: skip
    put(world.root / "tables/users.csv", users())
    world.write(FIRST)
    first = taken_in(world)
    put(world.root / "tables/users.csv", users().assign(age=77))
    # The same logs: the day stays as it was taken in.
    assert not taken_in(world).changed
    assert {age for (age,) in in_lake(world, '"x_users.age"')} != {77.0}
    # A day that is read again is read with the table of now, and is another version.
    world.write(FIRST, impressions(FIRST, seed=1))
    second = taken_in(world)
    assert second.revision == first.revision + 1
    assert {age for (age,) in in_lake(world, '"x_users.age"')} == {77.0}
    world.write(FIRST)
    third = taken_in(world)
    assert third.quality.basis == first.quality.basis
    assert third.quality.content_hash != first.quality.content_hash


# Expressions


def test_features_are_expressions_over_roles_columns_and_tables(make_world: Make) -> None:
    expressions = {
        "per_year": "price / nullif(users.age, 0)",
        "of_source": "length(restaurant_id) + position",
        "both": "items.cost * users.age",
    }
    numerical = {name: {"sql": sql} for name, sql in expressions.items()}
    categorical = {"who": {"sql": "user || '/' || domain"}, "code": {"sql": "users.segment || '!'"}}
    for logs in ("parquet", "csv"):
        world = small(
            make_world, "csv", source={"uri": f"logs/{{day}}.{logs}"},
            features={"numerical": numerical, "categorical": categorical},
            columns={"price": {"sql": "price * 2"}, "position": {"sql": "position"}},
        )  # fmt: skip
        frame = impressions(FIRST)
        put(world.root / "logs" / f"{FIRST}.{logs}", frame)
        quality = taken_in(world).quality
        assert quality.rejected == 0
        found = pd.DataFrame(
            in_lake(world, "f_who, f_code, x_per_year, x_of_source, x_both"),
            columns=["who", "code", "per_year", "of_source", "both"],
        )
        full = frame.merge(users(), left_on="user_id", right_on="id").merge(items(), on="item_id")
        domain = full["scene"] + " · " + full["region"]
        assert found["who"].tolist() == (full["user_id"] + "/" + domain).tolist()
        assert found["code"].tolist() == (full["segment"] + "!").tolist()
        # A column of the logs goes before the role of its name.
        assert found["per_year"].tolist() == pytest.approx((full["price"] / full["age"]).tolist())
        lengths = full["restaurant_id"].str.len() + full["position"]
        assert found["of_source"].tolist() == lengths.tolist()
        assert found["both"].tolist() == pytest.approx((full["cost"] * full["age"]).tolist())


def test_a_feature_sees_roles_that_are_no_columns(make_world: Make) -> None:
    numerical = {"twice": {"sql": "price * 2 + position"}}
    world = make_world(
        features={"numerical": numerical, "categorical": {"them": {"sql": "user || item"}}},
        columns={"price": "cost", "position": {"sql": "place + 1"}},
    )
    frame = impressions(FIRST).rename(columns={"price": "cost", "position": "place"})
    world.write(FIRST, frame)
    assert taken_in(world).quality.rejected == 0
    found = in_lake(world, "f_them, x_twice")
    assert [them for them, _ in found] == (frame["user_id"] + frame["item_id"]).tolist()
    expected = (frame["cost"] * 2 + frame["place"] + 1).tolist()
    assert [twice for _, twice in found] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("sql", "named"),
    [("prise * 2", "prise"), ("users.agee", "agee"), ("click_label", "click_label")],
)
def test_an_expression_that_names_what_there_is_not_is_one_line(
    make_world: Make, sql: str, named: str
) -> None:
    world = small(make_world, features={"numerical": {"a": {"sql": sql}}, "categorical": {}})
    world.write(FIRST)
    line = refusal(world)
    assert f"logs/{FIRST}.parquet: features.numerical.a.sql = '{sql}' cannot be computed" in line
    assert named in line
    assert "name columns of the logs, TABLE.COLUMN of a table, or roles (user, item" in line


def test_an_expression_that_gives_no_number_quarantines_the_row(make_world: Make) -> None:
    world = make_world(features={"numerical": {"ratio": {"sql": "price / (position - 1)"}}})
    frame = impressions(FIRST).assign(position=2)
    frame.loc[[3, 40, 41], "position"] = 1
    world.write(FIRST, frame)
    quality = taken_in(world).quality
    found = {row["reason"]: row["rows"] for row in quality.rejections}
    assert (quality.rejected, set(found)) == (3, {"number_unreadable"})


def test_elements_of_lists_find_their_keys(make_world: Make) -> None:
    world = make_world(
        source={"uri": "logs/{day}.jsonl", "explode": {"columns": {"shown": "items"}}},
        tables={"things": {"uri": "t-*.csv", "key": "shown", "columns": ["brand"],
                           "as_of": "latest"}},
        columns={"item": "shown", "category": "things.brand", "request": None, "position": None},
        features={"categorical": [], "numerical": {"size": {"sql": "length(things.brand)"}}},
    )  # fmt: skip
    frame = impressions(FIRST, rows=300)
    frame["items"] = [[f"a{n % 7}", f"b{n % 5}"] for n in range(len(frame))]
    frame["event_time"] = frame["event_time"].astype(str)
    put(world.root / "logs" / f"{FIRST}.jsonl", frame.drop(columns="item_id"))
    # A table of two files, of which one says types.
    put(world.root / "t-a.csv", pd.DataFrame({"shown": [f"a{n}" for n in range(7)], "brand": "x"}))
    put(
        world.root / "t-b.csv",
        pd.DataFrame({"brand": "long", "shown": [f"b{n}" for n in range(4)]}),
    )
    quality = taken_in(world).quality
    found = in_lake(world, "item_id, category, x_size")
    assert len(found) == 600
    brands = {f"a{n}": ("x", 1.0) for n in range(7)} | {f"b{n}": ("long", 4.0) for n in range(4)}
    assert all(row[1:] == brands.get(row[0], (None, None)) for row in found)
    (check,) = [check for check in quality.checks if check["rule"] == "table_key_missing"]
    assert check["unexpected"] == 60
    assert "t-a.csv with 1 more lacks the 'shown' of 60 of 600 rows" in check["sentence"]


def test_a_damaged_table_is_one_line_of_its_own(make_world: Make) -> None:
    world = small(make_world)
    world.write(FIRST)
    path = world.root / f"tables/users-{FIRST}.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    line = refusal(world)
    assert f"tables/users-{FIRST}.parquet: cannot be read as parquet" in line
    assert "set tables.users.format; the lake is unchanged" in line


@pytest.mark.slow
@pytest.mark.ci
def test_an_erased_user_is_in_no_row_and_in_no_count(make_world: Make) -> None:
    world = small(make_world)
    world.write(FIRST)
    taken_in(world)
    with Ledger(world.config) as ledger:
        erase(world.config, ledger, ["u7"], why="asked")
    users_left = {user for (user,) in in_lake(world, "user_id")}
    assert "u7" not in users_left
    # Taken in again with another table, which still has the user.
    put(world.root / f"tables/users-{FIRST}.parquet", users().assign(age=5))
    assert taken_in(world).changed
    assert {user for (user,) in in_lake(world, "user_id")} == users_left
    assert not list(Workspace(world.config).staging.glob("*"))


def test_the_example_of_the_docs_works(make_world: Make) -> None:
    text = (ROOT / "docs" / "howto" / "own-logs.md").read_text()
    (block,) = re.findall(r"```yaml\n# tables\n(.*?)```", text, re.DOTALL)
    world = make_world(**yaml.safe_load(block))
    frame = impressions(FIRST)
    world.write(FIRST, frame)
    put(world.root / f"tables/users-{FIRST}.parquet", users())
    put(world.root / "tables/items.csv", items().rename(columns={"brand": "cuisine"}))
    assert taken_in(world).quality.rejected == 0
    found = in_lake(world, "user_id, category, f_segment, category, x_age, x_margin")
    wanted = joined(frame)
    assert [row[:5] for row in found] == [row[:5] for row in wanted]
    assert [row[5] for row in found] == pytest.approx([row[5] for row in wanted])


def test_drawn_rows_have_the_values_of_their_item(make_world: Make) -> None:
    world = small(make_world, negatives={"per_positive": 2, "from": "domain_day"})
    world.write(FIRST)
    taken_in(world)
    found = in_lake(world, "item_id, user_id, f_brand, f_segment, x_age, drawn")
    assert sum(drawn for *_, drawn in found) > 100
    brands = dict(zip(items()["item_id"], items()["brand"], strict=True))
    people = users().set_index("id")
    for item, user, brand, segment, age, _ in found:
        assert brand == brands[item]
        assert (segment, age) == (people["segment"][user], people["age"][user])


def test_a_table_joined_by_the_item_is_the_items_whatever_negatives_name(make_world: Make) -> None:
    features = {
        "categorical": {"brand": "items.brand", "segment": "users.segment"},
        "numerical": {"margin": {"sql": "price - items.cost"}},
    }
    drawn = {"per_positive": 2, "from": "domain_day", "item": []}
    world = small(make_world, negatives=drawn, features=features, columns={})
    frame = impressions(FIRST).assign(price=lambda rows: rows["item_id"].str[1:].astype(float))
    world.write(FIRST, frame)
    taken_in(world)
    known = items().set_index("item_id")
    people = users().set_index("id")
    found = in_lake(world, "item_id, user_id, price, f_brand, x_margin, f_segment, drawn")
    assert sum(drawn for *_, drawn in found) > 100
    for item, user, price, brand, margin, segment, _ in found:
        assert (brand, price) == (known["brand"][item], float(item[1:]))
        assert margin == pytest.approx(price - known["cost"][item])
        assert segment == people["segment"][user]
