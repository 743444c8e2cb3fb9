"""Windows of domains with little in them: every signal is judged by a number, or left out."""

import math
import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from driftune.drift.compare import Windows
from driftune.drift.distances import distances
from driftune.drift.profiles import Profile, whole
from driftune.drift.signals import SIGNALS
from driftune.drift.variation import judge_readings
from driftune.drift.words import facts, say
from tests.drift.windows import NAMES, profile, windows

Rng = np.random.Generator
FIRST_ALONE, LAST_ALONE = (1, 0, 0, 0), (0, 0, 0, 1)


def emptied(held: Profile, *parts: str) -> Profile:
    """A window without counts in some parts, as where no price is logged."""
    return Profile(whole({name: each for name, each in held.parts.items() if name not in parts}))


def no_price(rng: Rng) -> Profile:
    return emptied(profile(rng), "price_shown", "price_clicked")


CURRENT: dict[str, Callable[[Rng], Profile]] = {
    "one category": lambda rng: profile(rng, mix=FIRST_ALONE),
    "few rows": lambda rng: profile(rng, rows=3),
    "hardly a click": lambda rng: profile(rng, rates=(0.0005,) * 4),
    "hardly one without": lambda rng: profile(rng, rates=(0.9995,) * 4),
    "no click": lambda rng: profile(rng, rates=(1e-12,) * 4),
    "only clicks": lambda rng: profile(rng, rates=(1 - 1e-12,) * 4),
    "no price": no_price,
    "nothing unseen": lambda rng: emptied(profile(rng), "ranking_unseen"),
}
REFERENCE: dict[str, Callable[[Rng], Profile]] = {
    "like others": profile,
    "another category": lambda rng: profile(rng, mix=LAST_ALONE),
    **CURRENT,
}


@pytest.mark.few(12)
@pytest.mark.parametrize("now", CURRENT)
@pytest.mark.parametrize("then", REFERENCE)
@pytest.mark.parametrize("days", [1, 6])
def test_what_is_judged_is_a_number_and_others_are_judged_as_ever(
    now: str, then: str, days: int
) -> None:
    rng = np.random.default_rng(5)
    thin = windows(rng, CURRENT[now](rng), days, key="thin")
    thin = replace(thin, reference={day: REFERENCE[then](rng) for day in thin.reference})
    others = [windows(rng, days=6, key=f"d{number}") for number in range(3)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for signal in SIGNALS.values():
            judged = judge_readings([signal.reading(each) for each in (*others, thin)])
            assert None not in judged[:3], signal.name
            values = [verdict for verdict in judged if verdict is not None]
            assert all(math.isfinite(each.p) and 0 <= each.p <= 1 for each in values), signal.name
            assert all(math.isfinite(each.effect) for each in values), signal.name
        told = facts(thin, NAMES)
        assert all(say(name, told) for name in SIGNALS)
    assert all(each is None or each >= 0 for each in distances([thin], 1000)[0].values())


def test_categories_that_were_never_shown_before_have_no_rate_to_compare() -> None:
    rng = np.random.default_rng(7)
    held: Windows = windows(rng, profile(rng, mix=FIRST_ALONE), 3)
    held = replace(held, reference={day: profile(rng, 4000) for day in held.reference})
    apart = replace(held, reference={day: profile(rng, mix=LAST_ALONE) for day in held.reference})
    assert SIGNALS["category_rate"].reading(held) is not None
    assert SIGNALS["category_rate"].reading(apart) is None
    assert SIGNALS["category_shown"].reading(apart) is not None
