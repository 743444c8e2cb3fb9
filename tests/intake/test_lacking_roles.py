"""Logs without conversions, categories or numbers: what of a day is taken in, judged and told."""

import json
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from driftune.config.workspace import Workspace
from driftune.errors import BackboneError
from driftune.features.days import encode_day, fit_encoder
from driftune.features.encoder import Encoder
from driftune.intake.ingest import ensure_reference, ingest
from driftune.lake.duck import connect
from driftune.lake.table import Lake
from driftune.quality.day_profile import read_profile
from driftune.quality.record import DayQuality
from driftune.registry.ledger import Ledger
from tests.conftest import FIRST, REFERENCE_DAYS, World, impressions

Make = Callable[..., World]
BARE = dict.fromkeys(("convert", "category", "price", "request", "position", "propensity"))
FEATURES: dict[str, Any] = {
    "categorical": [],
    "counters": {"per": [["item"], ["user", "domain"]]},
}
GIVEN = ["user_id", "item_id", "event_time", "scene", "region", "click"]


def run(world: World, number: int = 0) -> DayQuality:
    with Ledger(world.config) as ledger:
        return ingest(world.config, ledger, world.day(number)).quality


def lake_rows(world: World) -> pd.DataFrame:
    lake = Lake.of(world.config)
    with connect(reach=[lake.place]) as con:
        return con.sql(f"FROM {lake.relation([FIRST])}").df()


def broken(day: pd.DataFrame) -> pd.DataFrame:
    """A day with a label that is none, in the columns of ``GIVEN``."""
    return (
        day[GIVEN].astype({"click": object}).assign(click=[*day["click"].astype(str)[:-1], "maybe"])
    )


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_a_day_of_clicks_alone_is_taken_in(make_world: Make, ending: str) -> None:
    world = make_world(source={"uri": f"logs/{{day}}.{ending}"}, columns=BARE, features=FEATURES)
    frame, file = broken(impressions(FIRST)), world.root / "logs" / f"{FIRST}.{ending}"
    frame.to_csv(file, index=False) if ending == "csv" else frame.to_parquet(file, index=False)
    quality = run(world)
    assert (quality.rows, quality.rejected) == (1200, 1)
    assert {row["reason"] for row in quality.rejections} == {"click_label"}
    rows = lake_rows(world)
    assert (rows["convert"] == 0).all()
    assert rows[["category", "price", "request_id", "position", "propensity"]].isna().all(axis=None)
    rules = {check["rule"] for check in quality.checks}
    assert not rules & {"convert_label", "convert_without_click", "number_unreadable"}
    assert "click_label" in rules
    written = Workspace(world.config).quality(FIRST).read_text()
    for word in ("conver", "categor", "price", "list"):
        assert word not in written, word
    profile = read_profile(Workspace(world.config), FIRST)
    assert profile is not None and set(profile["columns"]) == {"user_id", "item_id"}
    assert "conversions" not in json.dumps(profile)


@pytest.mark.slow
@pytest.mark.ci
def test_a_conversion_that_is_named_later_is_judged_by_the_days_that_had_it(
    make_world: Make,
) -> None:
    world = make_world(columns={"convert": None})
    for number in range(4):
        world.write(world.day(number))
        run(world, number)
    named = World(world.root)
    for number in range(4, 6):
        named.write(named.day(number))
        quality = run(named, number)
        assert all("conversions" in row for row in quality.domains)
        (check,) = [row for row in quality.checks if row["rule"] == "convert_without_click"]
        assert check["success"]


def _fitted(world: World) -> Encoder:
    days = [world.day(number) for number in range(REFERENCE_DAYS)]
    with Ledger(world.config) as ledger:
        ensure_reference(world.config, ledger)
    return fit_encoder(world.config, days, Workspace(world.config).model / "encoder")


@pytest.mark.parametrize(
    ("first", "then", "said"),
    [
        ({}, {"category": None}, "reads category, which columns and features no longer give"),
        ({}, {"convert": None}, "reads cvr_item, cvr_user_domain, which columns"),
        ({"category": None}, {}, "was fitted without columns.category"),
    ],
    ids=["category gone", "convert gone", "category new"],
)
@pytest.mark.few(1)
def test_an_encoder_of_other_roles_is_refused_in_one_line(
    make_world: Make, first: dict[str, Any], then: dict[str, Any], said: str
) -> None:
    world = make_world(columns=first, features=FEATURES).with_reference()
    encoder = _fitted(world)
    changed = World(world.root, columns=then, features=FEATURES)
    with pytest.raises(BackboneError, match=f"the encoder {said}.*driftune pretrain"):
        encode_day(changed.config, encoder, changed.day(0))
