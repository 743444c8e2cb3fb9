"""Bands of the usual, and what lies outside of them."""

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftune.quality.usual import MAD_TO_SD, History, band

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=40)


def test_fewer_than_three_days_say_nothing() -> None:
    assert band([1.0, 1.0], 0.1, 6) is None


@given(VALUES, st.floats(0.001, 10), st.floats(-1e3, 1e3))
def test_a_band_moves_with_its_values_and_never_falls_below_its_slack(
    values: Sequence[float], slack: float, shift: float
) -> None:
    one, other = band(values, slack, 6), band([value + shift for value in values], slack, 6)
    assert one is not None
    assert other is not None
    assert one.allowed >= slack
    assert other.usual == pytest.approx(one.usual + shift, abs=1e-6)
    assert other.allowed == pytest.approx(one.allowed, rel=1e-6, abs=1e-6)


def test_one_wild_day_hardly_widens_a_band() -> None:
    values = np.random.default_rng(3).normal(10, 1, 28).tolist()
    calm, wild = band(values, 0.1, 6), band([*values[:-1], 1e6], 0.1, 6)
    assert calm is not None
    assert wild is not None
    assert wild.allowed < 1.5 * calm.allowed


def test_a_band_covers_so_many_standard_deviations_of_a_normal_distribution() -> None:
    values = np.random.default_rng(5).normal(0, 2, 20_001)
    found = band(values.tolist(), 0.0001, 3)
    assert found is not None
    assert found.allowed == pytest.approx(6, rel=0.05)
    assert pytest.approx(1 / 0.67449, rel=1e-4) == MAD_TO_SD


def profiles(days: int) -> tuple[dict[str, str], ...]:
    return tuple({"day": (date(2026, 3, 2) + timedelta(n)).isoformat()} for n in range(days))


@pytest.mark.parametrize(("days", "alike"), [(14, 14), (20, 20), (21, 3), (28, 4)])
def test_a_day_is_compared_with_its_weekday_alone_where_there_are_enough(
    days: int, alike: int
) -> None:
    day = date(2026, 3, 2) + timedelta(days)
    assert len(History(day, profiles(days), 3).like()) == alike


def test_how_far_a_weekday_strays_is_learned_from_all_weekdays() -> None:
    rng = np.random.default_rng(7)
    figures = {
        each["day"]: 10.0 * (n % 7) + rng.normal(0, 2) for n, each in enumerate(profiles(364))
    }
    history = History(date(2026, 3, 2) + timedelta(364), profiles(364), 3)
    spread = history.weekly_spread(lambda profile: figures[profile["day"]])
    assert spread == pytest.approx(2, rel=0.15)


def test_days_that_are_compared_with_all_others_have_no_spread_of_their_weekday() -> None:
    history = History(date(2026, 3, 2) + timedelta(14), profiles(14), 3)
    assert history.weekly_spread(lambda profile: 1.0) is None
