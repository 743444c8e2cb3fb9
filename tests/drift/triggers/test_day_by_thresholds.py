"""Triggers by threshold on a day in the lake, measured by the real Evidently."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

from driftune.config import Config
from driftune.drift.detect import decide_day
from driftune.drift.measure import measure_day
from driftune.drift.windows import draw_windows
from driftune.errors import ConfigError
from driftune.intake.ingest import ingest
from driftune.notify.words import message_of
from driftune.registry.ledger import Ledger
from driftune.registry.outbox import owed
from driftune.registry.records import Decision
from driftune.registry.records.scores import TriggerScore
from tests.conftest import DOMAINS, World, impressions

pytestmark = pytest.mark.evidently

MOVED = "home · north"
NOTIFY = {"urls_env": "URLS"}
PRICE = {"column": "price", "method": "wasserstein", "above": 0.8}
Entry = Mapping[str, Any]


def shifted(day: date) -> pd.DataFrame:
    """A day on which one domain's prices are three times as high, half of its clicks are gone, in
    all categories alike, and all of its conversions.
    """
    frame = impressions(day, 2400)
    there = (frame["scene"] == "home") & (frame["region"] == "north")
    frame.loc[there, "price"] *= 3
    lost = there & (np.arange(len(frame)) % 2 == 0)
    frame.loc[lost, "click"] = 0
    frame.loc[there, "ordered"] = 0
    return frame


def configured(world: World, *entries: Entry | str, **drift: Any) -> Config:
    """The world's configuration under these triggers."""
    return World(world.root, drift={"triggers": list(entries), **drift}, notify=NOTIFY).config


def decided(world: World, day: date, config: Config) -> dict[str, Decision]:
    """Ingest and decide a day; decisions by domain."""
    with Ledger(config) as ledger:
        ingest(config, ledger, day)
        windows = draw_windows(config, ledger, day)
        decide_day(config, ledger, windows, measure_day(config, windows))
        return {row.domain: row for row in ledger.decisions() if row.day == str(day)}


def by_name(row: Decision) -> dict[str, TriggerScore]:
    """What a decision's triggers came to, by what each measured and how."""
    return {score.name: score for score in row.scores.triggers}


def test_each_kind_of_column_is_measured_and_each_action_taken(trained_world: World) -> None:
    day = trained_world.day(3)
    trained_world.write(day, shifted(day))
    config = configured(
        trained_world,
        "calibration",
        {**PRICE, "action": "adapt"},
        {"column": "convert", "method": "z", "p": 0.001},
        {"signal": "click_rate", "method": "jensenshannon", "above": 0.05, "action": "watch"},
        {"column": "prediction", "method": "ks", "p": 0.0001},
        {"column": "category", "method": "psi", "above": 0.1},
        {"column": "restaurant_id", "method": "hellinger", "above": 0.2},
        {"column": "click", "method": "wasserstein", "above": 0.15},
        {"column": "hour", "method": "chisquare", "p": 0.0001},
    )
    rows = decided(trained_world, day, config)
    assert {name: row.state for name, row in rows.items()} == {
        **dict.fromkeys(DOMAINS, "stable"),
        MOVED: "pending",
    }
    moved = rows[MOVED]
    assert moved.scores.rule == "price (wasserstein)"
    assert moved.sentence.startswith("Drifted: price, Wasserstein 3.")
    assert moved.score is not None and moved.score > 1
    fired = {name for name, score in by_name(moved).items() if score.fired}
    assert fired == {
        "price (wasserstein)",
        "convert (z)",
        "click_rate (jensenshannon)",
        "click (wasserstein)",
    }
    for name in set(DOMAINS) - {MOVED}:
        assert len(rows[name].scores.triggers) == 8
        assert not any(score.fired for score in rows[name].scores.triggers)
        assert rows[name].scores.alert is None
    with Ledger(config) as ledger:
        (told,) = [row for row in owed(ledger) if row.kind == "threshold"]
    title, body = message_of(config, told)
    assert title == f"Driftune: threshold: {MOVED}, {day}"
    assert body.startswith("convert, z-test p ")


@pytest.mark.slow
@pytest.mark.ci
def test_without_such_triggers_evidently_is_asked_for_nothing(trained_world: World) -> None:
    day = trained_world.day(3)
    trained_world.write(day, shifted(day))
    rows = decided(trained_world, day, trained_world.config)
    assert {row.state for row in rows.values()} == {"stable"}
    for row in rows.values():
        assert row.scores_text is not None
        assert "triggers" not in row.scores_text and "alert" not in row.scores_text


@pytest.mark.slow
@pytest.mark.ci
def test_alerts_are_told_of_a_domain_that_has_too_few_clicks(trained_world: World) -> None:
    day = trained_world.day(3)
    trained_world.write(day, shifted(day))
    adapting = {**PRICE, "action": "adapt"}
    config = configured(trained_world, "auc", PRICE, adapting, min_clicks=2000)
    rows = decided(trained_world, day, config)
    assert {row.state for row in rows.values()} == {"insufficient"}
    assert rows[MOVED].scores.alert is not None
    with Ledger(config) as ledger:
        assert [row.domain for row in owed(ledger) if row.kind == "threshold"] == [MOVED]
    assert ["Alert: price" in rows[name].sentence for name in (MOVED, "home · south")] == [1, 0]


OWN = """
from evidently.core.metric_types import SingleValueCalculation, SingleValueMetric


class Dearest(SingleValueMetric):
    column: str


class DearestCalculation(SingleValueCalculation[Dearest]):
    def calculate(self, context, current_data, reference_data):
        ends = [
            (data.column(self.metric.column).data.max(), data.column("user").data.nunique())
            for data in (current_data, reference_data)
        ]
        assert min(users for _, users in ends) > 50
        return self.result(float(ends[0][0] / ends[1][0]))

    def display_name(self):
        return "Dearest price, today's in the reference's"


def dearest():
    return Dearest(column="price")
"""


@pytest.mark.slow
@pytest.mark.ci
def test_a_metric_of_ones_own_is_a_trigger(trained_world: World) -> None:
    day = trained_world.day(3)
    trained_world.write(day, shifted(day))
    (trained_world.root / "dearest_prices.py").write_text(OWN, encoding="utf-8")
    entry = {"metric": "dearest_prices:dearest", "columns": ["price", "user"], "above": 1.8}
    rows = decided(trained_world, day, configured(trained_world, "auc", entry))
    alerts = {name: row.scores.alert for name, row in rows.items()}
    assert str(alerts.pop(MOVED)).startswith("dearest_prices:dearest of price, user ")
    assert set(alerts.values()) == {None}


@pytest.mark.slow
@pytest.mark.ci
def test_what_the_lake_and_the_project_lack_is_one_line(trained_world: World) -> None:
    day = trained_world.day(3)
    trained_world.write(day)
    entry = {"metric": "no_such_module:make", "columns": ["price"], "above": 1}
    with pytest.raises(ConfigError, match="metric = 'no_such_module:make': cannot be made"):
        decided(trained_world, day, configured(trained_world, entry))
    entry = {"column": "prise", "method": "psi", "above": 1}
    with pytest.raises(ConfigError, match="column 'prise' is none of the lake; there are category"):
        decided(trained_world, day, configured(trained_world, entry))
