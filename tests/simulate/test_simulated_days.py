"""What a day's impressions look like: rates, curves, labels and the logged propensities."""

import numpy as np
import pandas as pd
import pytest

from driftune.simulate import SimulationConfig
from driftune.simulate.policy import draw_slates


@pytest.mark.slow
@pytest.mark.ci
def test_rows_are_sorted_and_lie_within_their_day(demo_logs: pd.DataFrame) -> None:
    assert demo_logs["event_time"].is_monotonic_increasing
    assert demo_logs["day"].nunique() == 22


def test_a_request_shows_different_items_from_position_one_on(demo_logs: pd.DataFrame) -> None:
    assert not demo_logs.duplicated(["request_id", "item_id"]).any()
    requests = demo_logs.groupby("request_id", sort=False)
    assert (demo_logs["position"] == requests.cumcount() + 1).all()
    one_each = requests[["user_id", "domain", "event_time"]].nunique()
    assert (one_each == 1).all(axis=None)


def test_orders_are_clicks_and_rates_are_realistic(
    demo: SimulationConfig, demo_logs: pd.DataFrame
) -> None:
    assert (demo_logs["click"] >= demo_logs["ordered"]).all()
    planted = {event.domain for event in demo.events}
    stable = demo_logs[~demo_logs["domain"].isin(planted)]
    assert stable.groupby("domain")["click"].mean().between(0.14, 0.215).all()
    clicked = stable[stable["click"] == 1]
    assert clicked.groupby("domain")["ordered"].mean().between(0.20, 0.30).all()


def test_volume_follows_the_weekday_and_its_mean_the_settings(
    demo: SimulationConfig, demo_logs: pd.DataFrame
) -> None:
    daily = demo_logs.groupby(["domain", "day"]).size()
    first_weeks = daily[daily.index.get_level_values("day") <= demo.calendar[13]]
    assert first_weeks.mean() == pytest.approx(demo.rows_per_domain, rel=0.03)
    by_weekday = first_weeks.groupby(lambda key: key[1].weekday()).mean()
    assert by_weekday[5] > 1.1 * by_weekday[0]


def test_lunch_and_dinner_are_the_busy_hours(demo_logs: pd.DataFrame) -> None:
    busy = demo_logs["event_time"].dt.hour.value_counts()
    assert min(busy[12], busy[19]) > 1.8 * max(busy[9], busy[15])
    assert busy[3] < 0.1 * busy[9]


def test_items_keep_category_price_and_restaurant(demo_logs: pd.DataFrame) -> None:
    facts = demo_logs.groupby("item_id")[["category", "price", "restaurant_id"]].nunique()
    assert (facts == 1).all(axis=None)
    assert demo_logs["category"].nunique() == 8
    typical = demo_logs.groupby("category")["price"].median()
    assert typical["coffee"] < typical["burgers"] < typical["sushi"]


def test_users_are_long_tailed_and_mostly_at_home(demo_logs: pd.DataFrame) -> None:
    per_user = demo_logs["user_id"].value_counts()
    assert per_user.head(len(per_user) // 10).sum() > 0.25 * len(demo_logs)
    at_home = demo_logs.groupby(["user_id", "region"]).size().groupby("user_id").max().sum()
    assert at_home > 0.85 * len(demo_logs)


def test_clicks_fade_with_the_position(demo_logs: pd.DataFrame) -> None:
    rate = demo_logs.groupby("position")["click"].mean()
    assert rate[1] > 1.3 * rate[5] > 1.3 * rate[12]


def test_breakfast_is_clicked_more_in_the_morning(demo_logs: pd.DataFrame) -> None:
    breakfast = demo_logs[demo_logs["category"] == "breakfast"]
    hour = breakfast["event_time"].dt.hour
    evening = breakfast.loc[hour.between(18, 21), "click"].mean()
    assert breakfast.loc[hour.between(7, 10), "click"].mean() > evening


def test_logged_propensity_matches_how_often_items_are_shown_first(
    demo: SimulationConfig, demo_logs: pd.DataFrame
) -> None:
    planted = {event.domain for event in demo.events}
    first = demo_logs[(demo_logs["position"] == 1) & ~demo_logs["domain"].isin(planted)]
    for _, rows in first.groupby("domain"):
        shown = rows.groupby("item_id")["propensity"].agg(["mean", "size"])
        expected = shown["mean"] * len(rows)
        common = expected > 20
        chi = (shown["size"] - expected) / np.sqrt(expected)
        assert common.sum() > 30
        assert np.square(chi[common]).mean() == pytest.approx(1.0, abs=0.5)


def test_propensities_are_those_of_drawing_without_the_items_above() -> None:
    shares = np.arange(1.0, 13.0) / np.arange(1.0, 13.0).sum()
    depth = np.full(60_000, 4)
    items, propensity = draw_slates(np.random.default_rng(3), shares, depth)
    slates = items.reshape(-1, 4)
    assert all(np.unique(slate).size == 4 for slate in slates[:500])
    # Each item not yet shown contributes 1 to the mean of inverse propensities.
    inverse = (1 / propensity).reshape(-1, 4).mean(axis=0)
    assert inverse == pytest.approx([12, 11, 10, 9], rel=0.03)
