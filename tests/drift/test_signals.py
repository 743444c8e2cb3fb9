"""Signals: each says what it is, and a new one is one class and one entry."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest

from driftune.config.drift import Drift, MinEffect
from driftune.drift.compare import Windows
from driftune.drift.detect import judge_domains
from driftune.drift.measure import Measured
from driftune.drift.policy import Past, decide
from driftune.drift.profiles import Profile
from driftune.drift.signals import SIGNALS, CategoricalSignal
from driftune.drift.words import facts, say
from driftune.registry.records import Scores
from driftune.reports.drift_view import drift_view
from tests.drift.windows import NAMES, profile, windows


@dataclass(frozen=True)
class Morning(CategoricalSignal):
    """Impressions before noon and after."""

    def counts(self, windows: Windows, profile: Profile) -> np.ndarray:
        """See ``CountedSignal.counts``."""
        return profile.parts["hour"].reshape(2, 12).sum(axis=1)

    def labels(self, windows: Windows, names: Mapping[int, str]) -> list[str]:
        """See ``CategoricalSignal.labels``."""
        return ["morning", "afternoon"]

    def threshold(self, limits: MinEffect) -> float:
        """A tenth of the other distances'."""
        return limits.distance / 10


@pytest.fixture
def morning(monkeypatch: pytest.MonkeyPatch) -> str:
    """A signal of this test's own."""
    signal = Morning("morning", "time of day", "traffic", "distance", "Share of impressions")
    monkeypatch.setitem(SIGNALS, signal.name, signal)  # type: ignore[arg-type]
    return signal.name


def afternoon(window: Profile) -> Profile:
    """The window with all impressions after noon."""
    parts = dict(window.parts)
    hours = np.zeros(24)
    hours[13] = window.rows
    return Profile({**parts, "hour": hours})


def test_a_signal_of_ones_own_is_measured_judged_told_and_shown(morning: str) -> None:
    rng = np.random.default_rng(3)
    moved = windows(rng, afternoon(profile(rng, rows=2000)), days=10)
    still = windows(rng, profile(rng, rows=2000), days=10)
    measured = [
        Measured(
            key,
            {},
            readings={name: signal.reading(one) for name, signal in SIGNALS.items()},
            told=facts(one, NAMES),
        )
        for key, one in (("moved", moved), ("still", still))
    ]
    verdicts = judge_domains(measured)
    assert verdicts["moved"][morning].p < 1e-6
    assert verdicts["still"][morning].p > 1e-3
    told = {each.key: each.told for each in measured}
    judged = decide(Drift(), verdicts, told, {key: Past() for key in told})
    assert morning in judged["moved"].moved
    assert morning not in judged["still"].moved
    assert say(morning, told["moved"]).startswith("time of day: ")
    scores = Scores.model_validate(
        {
            "moved": judged["moved"].moved,
            "told": told["moved"],
            "signals": {name: {"p": verdict.p} for name, verdict in verdicts["moved"].items()},
        }
    )
    words = [card["words"] for card in drift_view(scores)["cards"]]
    assert any("Time of day" in text for text in words)


def test_a_signal_s_name_is_its_key_and_its_threshold_that_of_the_configuration() -> None:
    limits = MinEffect(calibration=0.1, auc=0.2, residuals=0.4, distance=0.3)
    named = {"calibration": 0.1, "auc": 0.2, "residuals": 0.4}
    for name, signal in SIGNALS.items():
        assert signal.name == name
        assert signal.threshold(limits) == named.get(name, 0.3)


def test_only_performance_triggers() -> None:
    performance = [name for name, signal in SIGNALS.items() if signal.kind == "performance"]
    assert sorted(performance) == ["auc", "calibration", "residuals"]
