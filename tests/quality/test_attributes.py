"""What belongs to an item or a user: the same in all its rows, today and on the days before."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftune.config import Config
from driftune.quality.attributes import LEAST_ITEMS, attribute_findings
from driftune.quality.belonging import OWNERS, measure_attribute
from driftune.quality.drawn import Drawn, coded
from driftune.quality.finding import Finding
from tests.conftest import World

ROWS, CATALOGUE = 2000, 100
Change = Callable[[pd.DataFrame], pd.DataFrame]


def rows(seed: int) -> pd.DataFrame:
    """Impressions of items with a price and a category each, and of users with a town each."""
    rng = np.random.default_rng(seed)
    item, user = rng.integers(0, CATALOGUE, ROWS), rng.integers(0, 250, ROWS)
    price = np.random.default_rng(0).gamma(2, 10, CATALOGUE).round(2) + 1
    return pd.DataFrame(
        {
            "item_id": [f"i{n}" for n in item],
            "user_id": [f"u{n}" for n in user],
            "price": price[item],
            "category": [f"c{n % 7}" for n in item],
            "town": [f"t{n % 5}" for n in user],
        }
    )


def measured(frame: pd.DataFrame, column: str) -> dict[str, Any]:
    every = np.ones(len(frame), dtype=bool)
    names = ("user_id", "item_id", column)
    columns = {name: coded(pa.chunked_array([pa.array(frame[name])])) for name in names}
    found = measure_attribute(Drawn(every, every, columns), column, number=column == "price")
    return {"looked": len(frame), **found}


def broken(config: Config, column: str, today: pd.DataFrame, days: int = 6) -> dict[str, Finding]:
    before = [measured(rows(seed), column) for seed in range(1, days + 1)]
    found = attribute_findings(
        config, column, measured(today, column), before, number=column == "price"
    )
    return {each.rule: each for each in found if each.broken}


@pytest.fixture
def config(make_world: Callable[..., World]) -> Config:
    return make_world().config


def moved(column: str, share: float) -> Change:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        hit = np.random.default_rng(9).random(len(frame)) < share
        values = frame[column].to_numpy().copy()
        values[hit] = np.random.default_rng(8).permutation(values[hit])
        return frame.assign(**{column: values})

    return change


def of_others(column: str, owner: str = "item_id") -> Change:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        owned = frame.groupby(owner)[column].first()
        other = dict(zip(owned.index, np.roll(owned, 1), strict=True))
        return frame.assign(**{column: frame[owner].map(other)})

    return change


@pytest.mark.few(1)
@pytest.mark.parametrize("column", ["price", "category", "town"])
def test_a_day_like_those_before_breaks_nothing(config: Config, column: str) -> None:
    assert broken(config, column, rows(99)) == {}


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("column", "change", "rules"),
    [
        ("price", moved("price", 0.01), {"column_per_item"}),
        ("category", moved("category", 0.02), {"column_per_item"}),
        ("town", moved("town", 0.02), {"column_per_user"}),
        ("price", of_others("price"), {"column_item_changed"}),
        ("category", of_others("category"), {"column_item_changed"}),
        ("town", of_others("town", "user_id"), {"column_user_changed"}),
    ],
)
def test_values_that_are_not_their_owner_s_stand_out(
    config: Config, column: str, change: Change, rules: set[str]
) -> None:
    found = broken(config, column, change(rows(99)))
    assert rules <= set(found)
    assert {each.about for each in found.values()} == {column}


@pytest.mark.parametrize(
    ("usual", "now", "detail"),
    [
        (1.7e308, 1.7e308, None),
        (1.7e308, 1e-300, "1.01e+304 times below the days before"),
        (1e-300, 1.7e308, "1.01e+304 times above the days before"),
    ],
)
def test_prices_at_the_ends_of_the_range_are_compared_without_a_warning(
    config: Config, usual: float, now: float, detail: str | None
) -> None:
    def priced(price: float) -> dict[str, Any]:
        items = {f"i{n}": price for n in range(CATALOGUE)}
        return {"looked": ROWS, "per_item": 0.0, "items": items}

    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        before = [priced(usual)] * 6
        found = {
            each.rule: each.detail
            for each in attribute_findings(config, "price", priced(now), before, number=True)
            if each.broken
        }
    assert ("column_item_level" in found) == (detail is not None)
    assert detail is None or found["column_item_level"].endswith(detail)


def test_a_rise_of_all_prices_is_told_with_its_size(config: Config) -> None:
    today = rows(99).assign(price=lambda frame: frame["price"] * 1.1)
    found = broken(config, "price", today)
    assert set(found) == {"column_item_level", "column_item_changed"}
    assert "+10.0%" in found["column_item_level"].detail


def test_a_rise_is_no_news_once_it_was_there_for_days(config: Config) -> None:
    dear = [rows(seed).assign(price=lambda frame: frame["price"] * 1.1) for seed in (6, 7, 8)]
    before = [measured(rows(seed), "price") for seed in range(1, 6)]
    before += [measured(day, "price") for day in dear[:2]]
    found = attribute_findings(config, "price", measured(dear[2], "price"), before, number=True)
    assert [each.rule for each in found if each.broken] == []


def test_what_differs_within_items_anyway_is_no_attribute(config: Config) -> None:
    def noisy(seed: int) -> dict[str, Any]:
        frame = rows(seed)
        factor = np.random.default_rng(seed).normal(1, 0.2, ROWS)
        return measured(frame.assign(price=frame["price"] * factor), "price")

    found = attribute_findings(
        config, "price", noisy(99), [noisy(seed) for seed in range(1, 7)], number=True
    )
    assert {each.rule: each.broken for each in found} == {"column_item_level": False}


def test_days_without_what_newer_versions_measure_count_for_nothing(config: Config) -> None:
    old = [{"looked": ROWS, "per_item": 0.0} for _ in range(5)]
    found = attribute_findings(config, "price", measured(rows(1), "price"), old, number=True)
    assert [each.rule for each in found] == ["column_per_item"]


def test_a_handful_of_common_items_says_nothing(config: Config) -> None:
    few = rows(1)[lambda frame: frame["item_id"].isin([f"i{n}" for n in range(LEAST_ITEMS - 1)])]
    before = [measured(rows(seed), "price") for seed in range(2, 8)]
    today = measured(few.assign(price=few["price"] * 3), "price")
    found = {each.rule for each in attribute_findings(config, "price", today, before, number=True)}
    assert "column_item_level" not in found


@settings(max_examples=10)
@given(st.integers(0, 2**31), st.floats(0.0, 1.0))
def test_shares_are_those_counted_by_hand(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "item_id": rng.integers(0, 12, 60).astype(str),
            "user_id": [str(n) for n in range(60)],
            "price": np.where(rng.random(60) < share, 2.0, 1.0),
        }
    )
    groups = [group for _, group in frame.groupby("item_id")["price"] if len(group) > 1]
    unlike = sum(len(group) - group.value_counts().max() for group in groups)
    found = measured(frame, "price")
    assert found["per_item"] == pytest.approx(unlike / sum(map(len, groups)))
    assert "per_user" not in found
    assert len(found["items"]) <= OWNERS
