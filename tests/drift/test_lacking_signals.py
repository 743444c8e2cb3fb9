"""Signals of logs that lack a role: those that need it are not measured, and nothing names it."""

from dataclasses import replace

import numpy as np

from driftune.drift.distances import distances
from driftune.drift.signals import SIGNALS, counted_signals, signals_of
from driftune.drift.words import facts
from tests.drift.windows import windows


def test_without_a_role_its_signals_are_left_out() -> None:
    assert set(signals_of()) == set(SIGNALS)
    gone = set(SIGNALS) - set(signals_of({"category", "price"}))
    assert gone == {
        *("category_shown", "category_clicked", "category_rate"),
        *("price_shown", "price_clicked"),
    }
    whole = windows(np.random.default_rng(0))
    lacking = replace(whole, lacking=frozenset({"category", "price"}))
    measured, told = distances([lacking], 1000)[0], facts(lacking, {})
    assert gone <= set(distances([whole], 1000)[0]) and not gone & {*measured, *told}
    assert set(measured) == set(counted_signals({"category", "price"}))
    rows = told["calibration"].get("rows", [])
    assert rows and not [row for row in rows if "category" in row["name"]]
