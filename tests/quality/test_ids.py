"""Single ids beside their own share of the rows, and the share of known ids beside its trend."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from driftune.config import Config
from driftune.quality.frequent import frequent_findings
from driftune.quality.known import known_finding
from tests.conftest import World

ROWS = 20_000


@pytest.fixture
def config(make_world: Callable[..., World]) -> Config:
    return make_world().config


def day(seed: int, more: dict[str, int] | None = None) -> dict[str, Any]:
    """A day of 3,000 users of whom some are far busier than others."""
    weight = np.random.default_rng(0).lognormal(0, 0.9, 3000)
    drawn = np.random.default_rng(seed).multinomial(ROWS, weight / weight.sum())
    counts = {f"u{n}": int(count) for n, count in enumerate(drawn) if count}
    for name, extra in (more or {}).items():
        counts[name] = counts.get(name, 0) + extra
    top = sorted(counts.items(), key=lambda each: -each[1])[:300]
    return {"looked": sum(counts.values()), "distinct": len(counts), "top": dict(top)}


def gain(config: Config, today: dict[str, Any], days: list[dict[str, Any]], launches: bool) -> Any:
    (found,) = frequent_findings(config, "user_id", today, days, launches=launches)
    return found


def test_the_same_busy_users_every_day_are_usual(config: Config) -> None:
    assert not gain(config, day(99), [day(seed) for seed in range(1, 9)], False).broken


@pytest.mark.parametrize("name", ["u5", "robot"])
def test_an_id_with_a_hundredth_of_the_rows_is_named(config: Config, name: str) -> None:
    found = gain(config, day(99, {name: 200}), [day(seed) for seed in range(1, 9)], False)
    assert found.broken
    assert found.detail.startswith(f"'{name}' has ")


def test_a_new_item_may_be_as_frequent_as_the_most_frequent_one(config: Config) -> None:
    before = [day(seed, {"hit": 400}) for seed in range(1, 9)]
    today = day(99, {"launched": 400, "hit": 400})
    assert not gain(config, today, before, True).broken
    assert gain(config, today, before, False).broken


def test_ids_are_not_judged_by_days_that_did_not_count_them(config: Config) -> None:
    old = [{"looked": ROWS, "distinct": 10} for _ in range(5)]
    assert list(frequent_findings(config, "user_id", day(1), old, launches=False)) == []


def shares(values: list[float]) -> list[dict[str, Any]]:
    return [{"looked": ROWS, "known": value} for value in values]


def known(config: Config, values: list[float], today: float) -> Any:
    return known_finding(config, "user_id", shares([today])[0], shares(values), 0.005)


def test_unknown_users_in_a_hundredth_of_the_rows_stand_out(config: Config) -> None:
    rng = np.random.default_rng(1)
    calm = (0.99 + rng.normal(0, 0.0005, 12)).tolist()
    assert known(config, calm, 0.98).broken
    assert not known(config, calm, 0.99).broken


def test_an_encoder_may_grow_old_day_by_day(config: Config) -> None:
    falling = [0.99 - 0.004 * n for n in range(15)]
    assert not known(config, falling[:14], falling[14]).broken
    assert known(config, falling[:14], falling[14] - 0.02).broken


def test_weekends_may_have_more_unknown_users(config: Config) -> None:
    rhythm = [0.95 if n % 7 in (5, 6) else 0.99 for n in range(19)]
    assert not known(config, rhythm, 0.95).broken


def test_two_days_tell_nothing_of_known_users(config: Config) -> None:
    assert known(config, [0.99, 0.99], 0.5) is None
