"""Triggers by threshold on a day in the lake, measured by the real Evidently."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

from driftune.drift.detect import decide_day
from driftune.drift.measure import measure_day
from driftune.drift.windows import draw_windows
from driftune.errors import ConfigError
from driftune.intake.ingest import ingest
from driftune.registry.ledger import Ledger
from driftune.registry.records import Decision
from tests.conftest import DOMAINS, World, impressions

DEARER = "home · north"
Entry = Mapping[str, Any]


def shifted(day: date) -> pd.DataFrame:
    """A day on which prices of one domain are three times as high, and clicks there half as many,
    in all categories alike; its conversions are gone.
    """
    frame = impressions(day, 2400)
    there = (frame["scene"] == "home") & (frame["region"] == "north")
    frame.loc[there, "price"] *= 3
    lost = there & (np.arange(len(frame)) % 2 == 0)
    frame.loc[lost, "click"] = 0
    frame.loc[there, "ordered"] = 0
    return frame


def decided(world: World, day: date, *entries: Entry | str, **drift: Any) -> dict[str, Decision]:
    """Ingest and decide the shifted day under these triggers; decisions by domain."""
    changed = World(world.root, drift={"triggers": list(entries), **drift}, notify=NOTIFY)
    world.write(day, shifted(day))
    config = changed.config
    with Ledger(config) as ledger:
        ingest(config, ledger, day)
        windows = draw_windows(config, ledger, day)
        decide_day(config, ledger, windows, measure_day(config, windows))
        return {row.domain: row for row in ledger.decisions() if row.day == str(day)}


NOTIFY = {"urls_env": "URLS"}
PRICE = {"column": "price", "method": "wasserstein", "above": 0.8}


def test_try(trained_world: World) -> None:
    rows = decided(
        trained_world,
        trained_world.day(3),
        "calibration",
        {**PRICE, "action": "adapt"},
        {"column": "convert", "method": "z", "p": 0.001},
        {"signal": "click_rate", "method": "jensenshannon", "above": 0.05, "action": "watch"},
        {"column": "prediction", "method": "ks", "p": 0.01},
        {"column": "category", "method": "psi", "above": 0.1},
        {"column": "restaurant_id", "method": "hellinger", "above": 0.1},
        {"column": "click", "method": "wasserstein", "above": 0.1},
        {"column": "hour", "method": "chisquare", "p": 0.001},
        {"signal": "price_clicked", "method": "ks", "p": 0.001},
    )
    for row in rows.values():
        print(row.domain, row.state, row.score, row.scores.rule, row.sentence)
        for t in row.scores.triggers:
            print("   ", t.words, t.fired, t.row)
