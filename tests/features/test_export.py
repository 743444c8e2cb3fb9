"""Exported rows: each with the values that the model reads of it, and no other's."""

import numpy as np
import pandas as pd
import pytest

from driftune.checksums import replacing_checked
from driftune.config.workspace import Workspace
from driftune.domains import domain_key
from driftune.features.days import encode_day, fit_encoder
from driftune.features.encoder import load_encoder
from driftune.features.export import export_rows
from driftune.intake.ingest import ingest
from driftune.lake.table import Lake
from driftune.registry.ledger import Ledger
from driftune.training.rows import load_rows
from tests.checkpoint import judged_plainly
from tests.conftest import World, impressions

SHOP = "home · north"
KEY = domain_key(SHOP)
FOREVER = 1 << 62


@pytest.fixture(scope="module")
def alike(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two days with impressions that differ in nothing but their features."""
    world = World(
        tmp_path_factory.mktemp("alike"),
        features={"categorical": ["restaurant_id"], "numerical": ["stars"]},
        quality={"severity": {"duplicate": "off"}},
    )
    for number in range(2):
        day = world.day(number)
        frame = impressions(day, 600).assign(stars=1.0)
        inside = frame[(frame["scene"] == "home") & (frame["region"] == "north")].index[:9]
        same = frame.loc[[inside[0]] * 9].drop(columns=["restaurant_id", "stars"])
        shops = ["r1", "r2", "new", "r3", "r1", "newer", "r2", "r3", "r4"]
        same["restaurant_id"], same["stars"] = shops, [9.0, 2, 7, 4, 5, 6, 3, 8, 1]
        world.write(day, pd.concat([frame.drop(index=inside), same[frame.columns]]))
        with judged_plainly(), Ledger(world.config) as ledger:
            ingest(world.config, ledger, day)
    fit_encoder(world.config, [world.day(0)], Workspace(world.config).model / "encoder")
    return world


def test_rows_that_are_alike_keep_their_own_values(alike: World) -> None:
    config = alike.config
    encoder, days = load_encoder(Workspace(config).model / "encoder"), [alike.day(0), alike.day(1)]
    view, target = Lake.of(config), alike.root / "rows.parquet"
    counts = export_rows(config, encoder, view, KEY, days, {target: (0, FOREVER)})
    frame = pd.read_parquet(target)
    rows = load_rows(encoder, [encode_day(config, encoder, day, view) for day in days], KEY)
    assert counts == {target: len(rows)} == {target: len(frame)}
    for prefix, found in (("c", rows.ids), ("x", rows.numbers)):
        names = [f"{prefix}_{number}" for number in range(found.shape[1])]
        assert np.array_equal(frame[names].to_numpy(), found.numpy())
    shop = f"c_{encoder.fields.index('restaurant_id')}"
    # One shop has one number, and another number another shop.
    known = frame[frame[shop] > encoder.buckets]
    assert (known.groupby("f_restaurant_id")[shop].nunique() == 1).all()
    assert (known.groupby(shop)["f_restaurant_id"].nunique() == 1).all()
    number = encoder.numbers.index("log_stars")
    scaled = (np.log1p(frame["x_stars"]) - encoder.means[number]) / encoder.scales[number]
    assert np.allclose(frame[f"x_{number}"], scaled.clip(-5, 5), atol=1e-5)
    assert (frame.groupby("event_time").size() >= 9).sum() == 2


@pytest.mark.slow
@pytest.mark.ci
def test_parts_are_told_apart_by_their_instants(alike: World) -> None:
    config = alike.config
    encoder, days = load_encoder(Workspace(config).model / "encoder"), [alike.day(0), alike.day(1)]
    view = Lake.of(config)
    middle = int(np.datetime64(alike.day(1), "us").astype(np.int64))
    first, second = alike.root / "first.parquet", alike.root / "second.parquet"
    counts = export_rows(
        config, encoder, view, KEY, days, {first: (0, middle), second: (middle, FOREVER)}
    )
    assert pd.read_parquet(first)["event_time"].max() < pd.Timestamp(alike.day(1))
    assert pd.read_parquet(second)["event_time"].min() >= pd.Timestamp(alike.day(1))
    assert min(counts.values()) > 0


def test_an_encoded_day_of_other_rows_is_refused(alike: World) -> None:
    config, day = alike.config, alike.day(0)
    encoder, view = load_encoder(Workspace(config).model / "encoder"), Lake.of(config)
    encoded = encode_day(config, encoder, day, view)
    frame = pd.read_parquet(encoded)
    with replacing_checked(encoded) as part:
        frame[frame.index != frame.index[frame["domain_key"] == KEY][0]].to_parquet(part)
    with pytest.raises(ValueError, match="does not have the rows of the lake"):
        export_rows(config, encoder, view, KEY, [day], {alike.root / "x.parquet": (0, FOREVER)})
    encoded.unlink()
