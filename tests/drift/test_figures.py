"""Figures of the twelve signals on a drawn world: those that 62340b5 measured, before classes."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from driftune.drift.compare import Windows
from driftune.drift.distances import distances
from driftune.drift.readings import Reading
from driftune.drift.signals import SIGNALS
from driftune.drift.variation import judge_readings
from driftune.drift.words import facts, say
from tests.drift.windows import NAMES, profile, windows

BEFORE: dict[str, dict[str, Any]] = json.loads(
    Path(__file__).with_name("figures_62340b5.json").read_text(encoding="utf-8")
)
# Facts are kept of the first rows alone.
KEPT_ROWS = 6


@pytest.fixture(scope="module")
def worlds() -> list[Windows]:
    """Three domains without drift, one that moved, and one compared with its weekday alone."""
    rng = np.random.default_rng(41)
    still = [windows(rng, key=f"d{n}", rows=1500, noise=0.1, days=9) for n in range(3)]
    day = profile(rng, rows=1500, rates=(0.2, 0.45, 0.2, 0.1), mix=(0.3, 0.3, 0.2, 0.2))
    moved = windows(rng, day, key="moved", rows=1500, days=9)
    return [*still, moved, replace(still[0], key="weekdays", weekday_days=1)]


def figures(reading: Reading | None) -> list[float]:
    """A reading in a few numbers."""
    assert reading is not None
    today, matched, plain = reading.today, reading.matched, reading.plain
    return [
        *(float(part[0]) for part in (today.square, today.noise, today.spread)),
        *(len(matched), len(plain)),
        *(float(part.sum()) for part in (matched.square, plain.square, plain.noise)),
        reading.freedom,
    ]


def test_the_signals_are_those_that_were_measured() -> None:
    assert list(SIGNALS) == [*BEFORE, "residuals"]


@pytest.mark.parametrize("name", BEFORE)
def test_readings_and_verdicts_are_as_before(name: str, worlds: list[Windows]) -> None:
    readings = [SIGNALS[name].reading(one) for one in worlds]
    for reading, before in zip(readings, BEFORE[name]["readings"], strict=True):
        # Then, cells of huge prices without a row added the rounding of their sums.
        close = 1e-6 if name.startswith("price") else 1e-9
        assert figures(reading) == pytest.approx(before, rel=close, abs=1e-12)
    flags = [[one.is_matched, one.one_sided, one.worse] for one in readings if one is not None]
    assert flags == BEFORE[name]["flags"]
    verdicts = judge_readings(readings)
    for verdict, before in zip(verdicts, BEFORE[name]["verdicts"], strict=True):
        assert verdict is not None
        assert [verdict.p, verdict.square, verdict.usual] == pytest.approx(before, rel=1e-6)


def test_distances_facts_and_sentences_are_as_before(worlds: list[Windows]) -> None:
    moved = worlds[3]
    measured, known = distances([moved], 1000)[0], facts(moved, NAMES)
    for name, before in BEFORE.items():
        if before["distance"] is None:
            assert name not in measured
        else:
            assert measured[name] == pytest.approx(before["distance"], rel=1e-9), name
        now: dict[str, Any] = dict(known[name])
        rows = [dict(row) for row in now.pop("rows", [])[:KEPT_ROWS]]
        expected = dict(before["facts"])
        for row, then in zip(rows, map(dict, expected.pop("rows", [])), strict=True):
            assert row.pop("name") == then.pop("name")
            assert row == pytest.approx(then, rel=1e-9)
        assert now == pytest.approx(expected, rel=1e-9)
        assert say(name, known) == before["sentence"]
