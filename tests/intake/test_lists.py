"""Lists whose elements become rows: the same rows from five ways of writing them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from driftune.config.workspace import Workspace
from driftune.errors import ConfigError, SourceError
from driftune.intake.ingest import ingest
from driftune.lake.table import Lake
from driftune.quality.record import DayQuality
from driftune.registry.ledger import Ledger
from tests.conftest import FIRST, World, impressions

Make = Callable[..., World]
ROLES = {"item": "item", "price": "price", "category": "category", "request": "list_id"}
OF_LIST = ["user_id", "event_time", "scene", "region"]


def lists(rows: int = 240) -> pd.DataFrame:
    """A day of lists: of each, what is said once and one list a column."""
    day = impressions(FIRST, rows=rows)
    day["list"] = [n // 4 for n in range(len(day))]
    for name in OF_LIST:
        day[name] = day.groupby("list")[name].transform("first")
    day["item_id"] = [f"i{n % 4}-{n % 37}" for n in range(len(day))]
    # One list in five has no click, others have several.
    day.loc[day["list"] % 5 == 0, ["click", "ordered"]] = 0
    each = {name: (name, list) for name in ("item_id", "price", "category", "click", "ordered")}
    first = {name: (name, "first") for name in OF_LIST}
    return day.groupby("list").agg(**first, **each).reset_index(drop=True)


def world_of(make_world: Make, explode: dict[str, Any], ending: str, **roles: Any) -> World:
    columns = ROLES | {"propensity": None, "convert": {"sql": "0"}} | roles
    world = make_world(
        source={"uri": f"logs/{{day}}.{ending}", "explode": explode},
        features={"categorical": []},
        columns=columns,
    )
    params = world.params.read_text()
    if "clicked" in explode:
        # The label is the list's own then.
        params = params.replace("  click: click\n", "")
    world.params.write_text(params.replace("  position: position\n", ""))
    return world


def taken_in(world: World) -> DayQuality:
    with Ledger(world.config) as ledger:
        return ingest(world.config, ledger, FIRST).quality


def rows_of(world: World, columns: str = "*") -> list[tuple[Any, ...]]:
    relation = Lake.of(world.config).relation([FIRST])
    with duckdb.connect() as con:
        found = con.execute(f"SELECT {columns} FROM {relation} ORDER BY request_id, position")
        return found.fetchall()


def said(quality: DayQuality) -> dict[str, int]:
    return {
        check["rule"]: check["unexpected"] for check in quality.checks if "list_" in check["rule"]
    }


def as_lists(frame: pd.DataFrame, path: Path) -> dict[str, Any]:
    frame.to_parquet(path.with_suffix(".parquet"))
    columns = {"item": "item_id", "price": "price", "category": "category", "click": "click"}
    return {"columns": columns}


def as_structs(frame: pd.DataFrame, path: Path) -> dict[str, Any]:
    with path.with_suffix(".jsonl").open("w") as file:
        for row in frame.to_dict("records"):
            names = ("item_id", "price", "category", "click")
            shown = [
                {"article": {"id": i, "kind": c}, "price": p, "clicked": k}
                for i, p, c, k in zip(*(row[name] for name in names), strict=True)
            ]
            given = {name: str(row[name]) for name in OF_LIST}
            file.write(json.dumps({**given, "page": {"shown": shown, "city": "x"}}) + "\n")
    return {
        "columns": {
            "item": "page.shown.article.id",
            "price": "page.shown.price",
            "category": "page.shown.article.kind",
            "click": "page.shown.clicked",
        }
    }


def as_suffixes(frame: pd.DataFrame, path: Path) -> dict[str, Any]:
    given = frame[OF_LIST].copy()
    given["shown"] = [
        " ".join(f"{i}-{k}" for i, k in zip(row.item_id, row.click, strict=True))
        for row in frame.itertuples()
    ]
    given["prices"] = ["|".join(map(str, each)) for each in frame["price"]]
    given["kinds"] = ["|".join(each) for each in frame["category"]]
    given.to_csv(path.with_suffix(".csv"), index=False)
    return {
        "columns": {"item": "shown", "price": "prices", "category": "kinds"},
        "separator": {"shown": " ", "prices": "|", "kinds": "|"},
        "clicked": {"suffix": "-"},
    }


def as_places(frame: pd.DataFrame, path: Path) -> dict[str, Any]:
    given = frame.drop(columns=["click", "ordered"])
    given["places"] = [[n for n, k in enumerate(each) if k] for each in frame["click"]]
    given.to_parquet(path.with_suffix(".parquet"))
    columns = {"item": "item_id", "price": "price", "category": "category"}
    return {"columns": columns, "clicked": {"at": "places", "first": 0}}


def as_ids(frame: pd.DataFrame, path: Path) -> dict[str, Any]:
    given = frame[OF_LIST].copy()
    for name in ("item_id", "price", "category"):
        given[name] = [json.dumps(each) for each in frame[name]]
    # As Python writes a list of texts.
    given["clicks"] = [
        str([i for i, k in zip(row.item_id, row.click, strict=True) if k])
        for row in frame.itertuples()
    ]
    given.to_csv(path.with_suffix(".csv"), index=False)
    columns = {"item": "item_id", "price": "price", "category": "category"}
    return {"columns": columns, "clicked": {"ids": "clicks"}}


WRITINGS = {
    "lists": (as_lists, "parquet"),
    "structs": (as_structs, "jsonl"),
    "suffixes": (as_suffixes, "csv"),
    "places": (as_places, "parquet"),
    "ids": (as_ids, "csv"),
}


@pytest.mark.parametrize("writing", WRITINGS)
@pytest.mark.few(2)
def test_each_element_becomes_an_impression(make_world: Make, tmp_path: Path, writing: str) -> None:
    frame = lists()
    write, ending = WRITINGS[writing]
    (tmp_path / "logs").mkdir(exist_ok=True)
    explode = write(frame, tmp_path / "logs" / f"{FIRST}")
    world = world_of(make_world, explode, ending)
    quality = taken_in(world)
    assert (quality.rows, quality.rejected) == (240, 0)
    wanted = [
        (row.user_id, f"{row.scene} · {row.region}", place, item, price, kind, click)
        for row in frame.itertuples()
        for place, (item, price, kind, click) in enumerate(
            zip(row.item_id, row.price, row.category, row.click, strict=True), start=1
        )
    ]
    found = rows_of(world, "user_id, domain, position, item_id, price, category, click")
    assert sorted(found) == sorted(wanted)
    ids = {request for (request,) in rows_of(world, "request_id")}
    assert len(ids) == len(frame)
    assert all(each.startswith("20260302-") for each in ids)
    without = sum(1 for each in frame["click"] if not any(each))
    assert said(quality) == {"list_no_click": without}


def test_what_is_odd_in_lists_is_counted_and_loses_no_row(make_world: Make) -> None:
    frame = lists()
    frame["places"] = [[1] for _ in range(len(frame))]
    for name in ("item_id", "price", "category"):
        frame.at[0, name] = []
    frame.at[1, "price"] = frame.at[1, "price"][:2]
    frame.at[2, "places"] = [9]
    frame.at[3, "places"] = []
    columns = {"item": "item_id", "price": "price", "category": "category"}
    world = world_of(make_world, {"columns": columns, "clicked": {"at": "places"}}, "parquet")
    frame.drop(columns=["click", "ordered"]).to_parquet(world.root / "logs" / f"{FIRST}.parquet")
    quality = taken_in(world)
    assert said(quality) == {
        "list_empty": 1,
        "list_unequal": 1,
        "list_click_outside": 2,
        "list_no_click": 2,
    }
    assert (quality.rows, quality.rejected) == (236, 0)
    assert len(rows_of(world)) == 236
    assert sum(click for (click,) in rows_of(world, "click")) == 57
    assert len(rows_of(world, "price")) - 2 == sum(
        price is not None for (price,) in rows_of(world, "price")
    )


def test_names_of_lists_may_be_anything(make_world: Make) -> None:
    frame = lists().drop(columns=["ordered"])
    names = {"item_id": 'a "b".c', "price": "e", "category": "_l0", "user_id": "m%s"}
    frame["rowid"] = range(len(frame))
    frame["clicks"] = [
        [i for i, k in zip(row.item_id, row.click, strict=True) if k] for row in frame.itertuples()
    ]
    wanted = sorted(i for row in frame["clicks"] for i in row)
    columns = {"item": names["item_id"], "price": "e", "category": "_l0"}
    explode = {"columns": columns, "clicked": {"ids": "clicks"}}
    world = world_of(make_world, explode, "parquet", user="m%s")
    delivered = frame.drop(columns=["click"]).rename(columns=names)
    delivered.to_parquet(world.root / "logs" / f"{FIRST}.parquet")
    assert taken_in(world).rejected == 0
    found = rows_of(world, "item_id, user_id, click")
    assert sorted(item for item, _, click in found if click) == wanted
    assert {user for _, user, _ in found} == set(frame["user_id"])


def test_a_list_that_is_delivered_twice_is_one(make_world: Make) -> None:
    frame = lists()
    columns = {"item": "item_id", "price": "price", "category": "category", "click": "click"}
    world = world_of(make_world, {"columns": columns}, "parquet")
    pd.concat([frame, frame.iloc[:2]]).to_parquet(world.root / "logs" / f"{FIRST}.parquet")
    quality = taken_in(world)
    assert sum(row["rows"] for row in quality.rejections) == quality.rejected == 8
    kept = pd.read_parquet(Workspace(world.config).quarantine(FIRST))
    assert list(kept["_element"]) == [1, 2, 3, 4, 1, 2, 3, 4]
    assert list(kept["_row"]) == [61] * 4 + [62] * 4
    assert list(kept["item"]) == [*frame.at[0, "item_id"], *frame.at[1, "item_id"]]


def test_a_label_that_cannot_be_read_is_quarantined(make_world: Make) -> None:
    frame = lists()
    path = make_world().root / "logs" / f"{FIRST}"
    explode = as_suffixes(frame, path)
    text = path.with_suffix(".csv").read_text()
    path.with_suffix(".csv").write_text(text.replace("i1-5-0", "i1-5-x"))
    quality = taken_in(world_of(make_world, explode, "csv"))
    assert {row["reason"]: row["rows"] for row in quality.rejections} == {"click_label": 1}


@pytest.mark.parametrize(
    ("explode", "line"),
    [
        ({"columns": {"item": "nothing"}}, "'nothing' (source.explode.columns.item"),
        ({"columns": {"item": "user_id"}}, "is no list; say what stands between its elements"),
        ({"columns": {"item": "item_id.x"}}, "has no field 'x' there"),
        ({"columns": {"region": "item_id"}}, "has the column 'region', and source.explode makes"),
        (
            {"columns": {"item": "item_id"}, "clicked": {"ids": "clicks"}},
            "column 'clicks' (source.explode.clicked.ids in params.yaml) is missing",
        ),
    ],
)
def test_lists_that_are_not_there_are_one_line(
    make_world: Make, explode: dict[str, Any], line: str
) -> None:
    given = explode | {"columns": {"price": "price", "category": "category"} | explode["columns"]}
    if "item" not in given["columns"]:
        given["columns"]["item"] = "item_id"
    if "clicked" not in given:
        given["columns"]["click"] = "click"
    world = world_of(make_world, given, "parquet")
    lists().to_parquet(world.root / "logs" / f"{FIRST}.parquet")
    with pytest.raises(SourceError) as refused:
        taken_in(world)
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("explode", "line"),
    [
        ({"columns": {}}, "source.explode.columns"),
        ({"columns": {"list_id": "a"}}, "'list_id' is taken"),
        ({"columns": {"item": "a..b"}}, "is no column or path"),
        ({"columns": {"item": "a"}, "separator": ""}, "is empty; give the sign"),
        ({"columns": {"item": "a"}, "clicked": {"first": 0}}, "says nothing; give one of suffix"),
        ({"columns": {"item": "a"}, "clicked": {"at": "b", "ids": "c"}}, "has at and ids"),
    ],
)
def test_settings_that_say_no_list_are_one_line(
    make_world: Make, explode: dict[str, Any], line: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        _ = make_world(source={"uri": "logs/{day}.csv", "explode": explode}).config
    assert line in str(refused.value)
