"""Domains that are measured together: each one's trouble is its own."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date

import numpy as np
import pytest

from driftune.config import Config
from driftune.drift import measure
from driftune.drift.compare import Windows
from driftune.drift.measure import Measured, batches, measure_domains
from driftune.drift.profiles import Profile
from driftune.drift.windows import DomainWindow
from tests.conftest import World
from tests.drift.windows import profile

DAY = date(2026, 3, 12)
REFERENCE = [date(2026, 3, day) for day in range(2, 12)]
KEYS = ("one", "two", "three")


@pytest.fixture
def _profiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three domains' profiles, as their file would have them; one cannot be read with others."""
    rng = np.random.default_rng(7)
    held = {key: {day: profile(rng) for day in (*REFERENCE, DAY)} for key in KEYS}

    def read(config: Config, windows: Sequence[DomainWindow]) -> dict[str, Mapping[date, Profile]]:
        return {window.key: held[window.key] for window in windows}

    monkeypatch.setattr(measure, "profiles_of", read)
    monkeypatch.setattr(measure, "category_names", lambda config, day: {})


def window(key: str, days: int = len(REFERENCE)) -> DomainWindow:
    days_before = REFERENCE[:days]
    return DomainWindow(key, key, DAY, 1, "b" * 64, 0, days_before, days_before, 24, "v")


def failing(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let a function of the measurement fail whenever domain two is part of it."""
    plain = getattr(measure, name)

    def broken(first: Sequence[Windows] | Config, *rest: Sequence[DomainWindow]) -> object:
        among = rest[0] if isinstance(first, Config) else first
        if any(each.key == "two" for each in among):
            raise ValueError("no figure")
        return plain(first, *rest)

    monkeypatch.setattr(measure, name, broken)


def told(found: Sequence[Measured]) -> list[tuple[str, bool, Mapping[str, float | None]]]:
    return [(each.key, each.problem is None, each.distances) for each in found]


@pytest.mark.usefixtures("_profiles")
@pytest.mark.parametrize("where", ["distances", "profiles_of"])
def test_who_fails_is_found_and_the_others_are_what_they_were(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    config, asked = make_world().config, [window(key) for key in KEYS]
    sound = measure_domains(config, asked)
    assert [each.problem for each in sound] == [None] * 3 and sound[1].distances
    failing(monkeypatch, where)
    found = measure_domains(config, asked)
    assert [told(found)[0], told(found)[2]] == [told(sound)[0], told(sound)[2]]
    assert found[1].problem is not None and "no figure" in found[1].problem.sentence


def test_batches_hold_every_domain_once_and_as_many_days_as_memory_has_room_for() -> None:
    asked = [window(f"d{number:03}", number % 10) for number in range(600)]
    found = batches(asked)
    assert sorted(each.key for some in found for each in some) == [each.key for each in asked]
    days = [sum(1 + len(each.reference) for each in some) for some in found]
    assert len(found) > 1 and max(days) <= measure.MOST_PROFILES
