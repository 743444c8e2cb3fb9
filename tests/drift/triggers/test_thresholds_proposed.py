"""Thresholds from stable days: their rate, their YAML, and a day judged by them."""

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
import yaml

from driftune.config.triggers import Trigger
from driftune.config.workspace import Workspace
from driftune.drift.triggers.propose import _proposal
from driftune.registry.ledger import Ledger
from driftune.reports import build_site
from tests.conftest import Ended, World, impressions
from tests.drift.triggers.test_day_by_thresholds import MOVED, configured, decided, shifted

FIRST = date(2026, 3, 2)


def test_the_rate_of_false_alarms_is_held_or_said_not_to_be() -> None:
    entry = Trigger(column="price", method="psi", above=0)
    values = {("d", date.fromordinal(FIRST.toordinal() + n)): n / 1000 for n in range(199)}
    found = _proposal(entry, values, {"d": [entry]}, 0.01)
    assert (found.entry.above, found.enough, found.rate) == (0.197, True, 0.01)
    few = dict(list(values.items())[:9])
    found = _proposal(entry, few, {"d": [entry]}, 0.01)
    assert (found.entry.above, found.enough, found.rate) == (0.008, False, 0.1)
    found = _proposal(entry, {}, {}, 0.01)
    assert (found.days, found.rate, found.enough) == (0, None, False)


def test_days_in_a_row_and_p_values() -> None:
    entry = Trigger(column="price", method="ks", p=0.5, days=2)
    p_values = [0.3, 0.02, 0.06, 0.5, None, 0.01]
    values = {
        ("d", date.fromordinal(FIRST.toordinal() + n)): p
        for n, p in enumerate(p_values)
        if p is not None
    }
    found = _proposal(entry, values, {"d": [entry]}, 0.3)
    # Of two days in a row the larger p-value counts: 0.3, 0.06 and 0.5.
    assert (found.days, found.entry.p, found.rate) == (3, 0.06, 0.25)


@pytest.mark.slow
@pytest.mark.ci
def test_from_stable_days_to_a_threshold_to_a_mark_on_the_map(
    trained_world: World, driftune: Callable[..., Ended]
) -> None:
    entries: list[Any] = [
        {"column": "price", "method": "wasserstein", "above": 9, "days": 2, "action": "adapt"},
        {"signal": "click_rate", "method": "hellinger", "above": 9},
    ]
    for number in (3, 4):
        day = trained_world.day(number)
        trained_world.write(day, impressions(day, 2400))
        rows = decided(trained_world, day, configured(trained_world, *entries))
        assert {row.state for row in rows.values()} == {"stable"}
    asked = ("drift", "--thresholds", "--false-alarms", "5")
    proposed = yaml.safe_load(driftune(*asked, folder=trained_world.root).out)["drift"]["triggers"]
    assert [each["method"] for each in proposed] == ["wasserstein", "hellinger"]
    assert 0 < proposed[0]["above"] < 0.5 and proposed[0]["days"] == 2
    document = json.loads(driftune(*asked, "--json", folder=trained_world.root).out)["triggers"]
    assert [each["domain_days"] for each in document] == [16, 20]

    # A column that no role names, and that the days before did not have.
    weather = {"column": "weather", "method": "jensenshannon", "above": 0.5}
    config = configured(trained_world, *proposed, weather)
    states = []
    for number in (5, 6):
        day = trained_world.day(number)
        frame = shifted(day)
        there = (frame["scene"] == "home") & (frame["region"] == "north")
        frame["weather"] = there.map({True: "rain", False: None})
        trained_world.write(day, frame)
        row = decided(trained_world, day, config)[MOVED]
        states.append((row.state, row.scores.rule))
        assert row.scores.alert is not None and "weather, Jensen" in row.scores.alert
    assert states == [("watched", "waits for another day"), ("pending", "price (wasserstein)")]
    with Ledger(config) as ledger:
        build_site(config, ledger)
    reports = Workspace(config).reports
    page = (reports / "decision" / str(day) / f"{row.domain_key}.html").read_text("utf-8")
    assert '<h3 id="thresholds">Thresholds</h3>' in page and "2 of 2" in page
    assert "⚑" in (reports / "index.html").read_text("utf-8")
    assert "weather, Jensen–Shannon" in (reports / "day" / f"{day}.html").read_text("utf-8")
