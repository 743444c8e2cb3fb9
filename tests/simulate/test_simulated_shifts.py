"""Planted shifts show in clicked categories and cost a frozen model AUC; stable domains rest."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import jensenshannon
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from driftune.simulate import Event, SimulationConfig

REFERENCE_END = date(2026, 3, 11)
MEANS_END = date(2026, 3, 6)


def mix(rows: pd.DataFrame, config: SimulationConfig) -> np.ndarray:
    counts = rows["category"].value_counts().reindex(config.categories, fill_value=0)
    return counts.to_numpy() / counts.sum()


def clicked_distance(left: pd.DataFrame, right: pd.DataFrame, config: SimulationConfig) -> float:
    samples = [rows[rows["click"] == 1].sample(1000, random_state=5) for rows in (left, right)]
    return float(jensenshannon(mix(samples[0], config), mix(samples[1], config)))


def with_mean_rates(logs: pd.DataFrame) -> pd.DataFrame:
    """Add smoothed click rates per user and item of days before those that models learn from."""
    past = logs[logs["day"] <= MEANS_END]
    overall = past["click"].mean()
    rated = logs.copy()
    for column in ("user_id", "item_id"):
        seen = past.groupby(column)["click"].agg(["sum", "size"])
        rate = (seen["sum"] + 20 * overall) / (seen["size"] + 20)
        rated[f"{column}_rate"] = logs[column].map(rate).fillna(overall)
    rated["price"] = np.log(rated["price"])
    rated["domain_category"] = rated["domain"] + rated["category"]
    return rated


def fit(rows: pd.DataFrame) -> Pipeline:
    features = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["category", "domain", "domain_category"]),
        (StandardScaler(), ["price", "position", "user_id_rate", "item_id_rate"]),
    )
    return make_pipeline(features, LogisticRegression(max_iter=300)).fit(rows, rows["click"])


def auc(model: Pipeline, rows: pd.DataFrame) -> float:
    return float(roc_auc_score(rows["click"], model.predict_proba(rows)[:, 1]))


@pytest.fixture(scope="module")
def rated(demo_logs: pd.DataFrame) -> pd.DataFrame:
    return with_mean_rates(demo_logs)


@pytest.fixture(scope="module")
def frozen(rated: pd.DataFrame) -> Pipeline:
    return fit(rated[(rated["day"] > MEANS_END) & (rated["day"] <= REFERENCE_END)])


@pytest.fixture(params=["2026-03-15", "2026-03-18", "2026-03-20"])
def event(request: pytest.FixtureRequest, demo: SimulationConfig) -> Event:
    return next(event for event in demo.events if event.day.isoformat() == request.param)


def test_clicked_categories_move_far_at_an_event(
    event: Event, demo: SimulationConfig, demo_logs: pd.DataFrame
) -> None:
    rows = demo_logs[demo_logs["domain"] == event.domain]
    before = rows[rows["day"] < event.day]
    after = rows[rows["day"] >= event.day]
    assert clicked_distance(before, after, demo) >= 0.2
    shown = jensenshannon(mix(before, demo), mix(after, demo))
    assert shown >= 0.08


def test_favoured_categories_gain_and_others_lose(
    event: Event, demo: SimulationConfig, demo_logs: pd.DataFrame
) -> None:
    rows = demo_logs[(demo_logs["domain"] == event.domain) & (demo_logs["click"] == 1)]
    gain = mix(rows[rows["day"] >= event.day], demo) - mix(rows[rows["day"] < event.day], demo)
    by_name = dict(zip(demo.categories, gain, strict=True))
    assert all(by_name[name] > 0 for name in event.favour)
    assert all(by_name[name] < 0 for name in event.against)


@pytest.mark.slow
@pytest.mark.ci
def test_stable_domains_stay_close_to_their_reference(
    demo: SimulationConfig, demo_logs: pd.DataFrame
) -> None:
    first = {event.domain: event.day for event in demo.events}
    for domain in demo.domains:
        rows = demo_logs[demo_logs["domain"] == domain]
        reference = rows[rows["day"] <= REFERENCE_END]
        end = first.get(domain, demo.last + timedelta(days=1))
        distances = []
        for last in pd.date_range("2026-03-14", end - timedelta(days=1)).date:
            window = rows[(rows["day"] <= last) & (rows["day"] > last - timedelta(days=4))]
            distances.append(clicked_distance(reference, window, demo))
        assert distances
        assert max(distances) <= 0.08


def test_stable_domains_can_be_ranked(
    demo: SimulationConfig, rated: pd.DataFrame, frozen: Pipeline
) -> None:
    planted = {event.domain for event in demo.events}
    later = rated[(rated["day"] > REFERENCE_END) & ~rated["domain"].isin(planted)]
    assert 0.70 <= auc(frozen, later) <= 0.78


@pytest.mark.few(1)
def test_refitting_after_an_event_pays(event: Event, rated: pd.DataFrame, frozen: Pipeline) -> None:
    rows = rated[(rated["domain"] == event.domain) & (rated["day"] > REFERENCE_END)]
    after = rows[rows["day"] >= event.day]
    learnt = after["day"] < event.day + timedelta(days=3)
    refitted = fit(after[learnt])
    frozen_after = auc(frozen, after[~learnt])
    assert auc(frozen, rows[rows["day"] < event.day]) - frozen_after >= 0.03
    assert auc(refitted, after[~learnt]) - frozen_after >= 0.03
