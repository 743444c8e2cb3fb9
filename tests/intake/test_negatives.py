"""Logs of clicks alone: the rows that are drawn beside them, and what is said without."""

from collections.abc import Callable
from datetime import date
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from driftune.intake.ingest import Ingested, ingest
from driftune.lake.table import Lake
from driftune.registry.ledger import Ledger
from tests.conftest import FIRST, World

Make = Callable[..., World]
FOUR = {"per_positive": 4, "from": "domain_day"}
OF_CLICK = "user_id, event_time, domain, request_id, position, f_device"


def clicks(day: date, rows: int = 400, seed: int = 0) -> pd.DataFrame:
    """A day of clicks alone: sessions of three, items of three shelves that users like or not."""
    rng = np.random.default_rng([seed, day.toordinal()])
    session = np.arange(rows) // 3
    user = rng.integers(0, 80, session[-1] + 1)[session]
    item = (rng.zipf(1.6, rows) * 3) % 60 + user % 3
    start = np.sort(rng.integers(0, 80_000, session[-1] + 1))[session]
    return pd.DataFrame(
        {
            "user": [f"u{n}" for n in user],
            "item": [f"i{n}" for n in item],
            "at": pd.Timestamp(day) + pd.to_timedelta(start + rng.integers(0, 900, rows), unit="s"),
            "shop": rng.choice(["north", "south"], rows),
            "shelf": [f"s{n % 3}" for n in item],
            "price": (item % 7 + 0.5).astype(float),
            "session": [f"{day}-{n}" for n in session],
            "place": rng.integers(1, 9, rows),
            "brand": [f"b{n % 5}" for n in item],
            "device": rng.choice(["phone", "desk"], rows),
        }
    )


def clicks_world(make_world: Make, negatives: dict[str, Any] | None = FOUR, **more: Any) -> World:
    roles = {
        "user": "user",
        "item": "item",
        "time": {"column": "at"},
        "domain": "shop",
        "convert": {"sql": "0"},
        "category": "shelf",
        "request": "session",
        "position": "place",
        "propensity": None,
    }
    changed = {"features": {"categorical": ["brand", "device"]}, **more}
    world = make_world(columns=roles, negatives=negatives, **changed)
    world.params.write_text(world.params.read_text().replace("  click: click\n", ""))
    return world


def take_in(world: World, day: date = FIRST) -> Ingested:
    with Ledger(world.config) as ledger:
        return ingest(world.config, ledger, day)


def rows_of(world: World, columns: str = "*", where: str = "true") -> list[tuple[Any, ...]]:
    relation = Lake.of(world.config).relation([FIRST])
    with duckdb.connect() as con:
        query = f"SELECT {columns} FROM {relation} WHERE {where} ORDER BY ALL"
        return con.execute(query).fetchall()


def test_each_click_has_four_rows_of_other_items(make_world):
    world = clicks_world(make_world)
    world.write(FIRST, clicks(FIRST))
    quality = take_in(world).quality
    assert (quality.rows, quality.rejected, quality.drawn, quality.held) == (400, 0, 1600, 2000)
    assert rows_of(world, "drawn, click, count(*)", "true GROUP BY ALL") == [
        (False, 1, 400),
        (True, 0, 1600),
    ]
