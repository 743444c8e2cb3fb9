"""Evidence: p-values hold where nothing drifts, and the signals see what they are made for."""

from collections.abc import Callable

import numpy as np
import pytest

from driftune.drift.compare import Windows
from driftune.drift.signals import SIGNALS
from driftune.drift.variation import Verdict, judge_readings
from tests.drift.windows import profile, windows
from tests.marks import CI

HURT = (0.2, 0.45, 0.2, 0.1)


def judge(held: list[Windows]) -> dict[str, list[Verdict]]:
    """The verdicts by signal; every signal must have one."""
    found = {}
    for signal in SIGNALS:
        verdicts = judge_readings([SIGNALS[signal].reading(each) for each in held])
        assert None not in verdicts, signal
        found[signal] = [verdict for verdict in verdicts if verdict is not None]
    return found


@pytest.mark.parametrize("noise", [pytest.param(0.0, marks=CI), 0.15])
@pytest.mark.slow
@pytest.mark.ci
def test_p_values_of_days_without_drift_hold(noise: float) -> None:
    rng = np.random.default_rng(11)
    p_values: dict[str, list[float]] = {signal: [] for signal in SIGNALS}
    for _ in range(12):
        held = [windows(rng, key=f"d{n}", rows=2000, noise=noise) for n in range(10)]
        for signal, verdicts in judge(held).items():
            p_values[signal] += [verdict.p for verdict in verdicts]
    for signal, found in p_values.items():
        values = np.array(found)
        # 120 domain-days: 12 expected below 0.1 with a deviation of 3.3, 1.2 below 0.01.
        assert (values < 0.1).sum() <= 25, signal
        assert (values < 0.01).sum() <= 6, signal


@pytest.mark.parametrize(
    ("change", "moved", "quiet"),
    [
        (
            lambda rng: profile(rng, rates=HURT),
            {"calibration", "auc", "category_rate", "category_clicked"},
            {"category_shown", "hour", "novelty"},
        ),
        (
            lambda rng: profile(rng, mix=(0.1, 0.2, 0.3, 0.4)),
            {"category_shown", "category_clicked", "click_rate"},
            {"calibration", "category_rate", "hour"},
        ),
    ],
    ids=["tastes", "traffic"],
)
def test_each_signal_sees_what_it_is_made_for(
    change: Callable[[np.random.Generator], object], moved: set[str], quiet: set[str]
) -> None:
    rng = np.random.default_rng(13)
    held = [windows(rng, key=f"d{n}") for n in range(5)]
    held.append(windows(rng, change(rng), key="moved"))  # type: ignore[arg-type]
    verdicts = {signal: found[-1] for signal, found in judge(held).items()}
    for signal in moved:
        assert verdicts[signal].p < 1e-3, signal
    for signal in quiet:
        assert verdicts[signal].p > 0.01, signal


def test_an_auc_that_rises_is_no_evidence() -> None:
    rng = np.random.default_rng(17)
    better = profile(rng, rates=(0.6, 0.3, 0.1, 0.05))
    held = [windows(rng, key=f"d{n}") for n in range(4)] + [windows(rng, better, key="better")]
    verdict = judge(held)["auc"][-1]
    assert verdict.p > 0.5
    assert verdict.effect == 0


def test_days_that_vary_widely_ask_for_more_evidence() -> None:
    p_values = []
    for noise in (0.0, 0.3):
        rng = np.random.default_rng(19)
        held = [windows(rng, key=f"d{n}", noise=noise) for n in range(5)]
        held.append(windows(rng, profile(rng, rates=(0.36, 0.33, 0.2, 0.1)), key="x", noise=noise))
        p_values.append(judge(held)["calibration"][-1].p)
    assert p_values[0] < 1e-3 < p_values[1]


def test_a_domain_with_one_reference_day_borrows_the_variation_of_the_others() -> None:
    rng = np.random.default_rng(23)
    held = [windows(rng, key=f"d{n}") for n in range(4)]
    held += [windows(rng, days=1, key="young"), windows(rng, profile(rng, rates=HURT), 1, "hurt")]
    verdicts = judge_readings([SIGNALS["calibration"].reading(each) for each in held])
    *_, young, hurt = (verdict for verdict in verdicts if verdict is not None)
    assert len(verdicts) == 6 and None not in verdicts
    assert young.p > 0.01
    assert hurt.p < 1e-4


def test_too_few_pairs_of_days_say_nothing() -> None:
    rng = np.random.default_rng(29)
    assert judge_readings([SIGNALS["calibration"].reading(windows(rng, days=1))]) == [None]
    assert judge_readings([None]) == [None]


def test_equal_windows_are_judged_equally() -> None:
    held = [[windows(np.random.default_rng(n), key=f"d{n}") for n in range(3)] for _ in range(2)]
    assert judge(held[0]) == judge(held[1])
