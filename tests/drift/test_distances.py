"""Distances: Evidently's figures on reduced columns, and what noise and missing values do."""

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import jensenshannon

from driftune.config import Config
from driftune.drift.distances import compare
from driftune.drift.policy import judge

CATEGORIES = ["noodles", "coffee", "salads", "burgers"]


@pytest.fixture
def config(make_world) -> Config:
    """The configuration of an empty world."""
    return make_world(drift={"sample_rows": 2000, "min_rows": 1000, "top_categories": 12}).config


def window(
    seed: int,
    rows: int = 2000,
    weights: list[float] | None = None,
    categories: list[str] | None = None,
    rate: float = 0.3,
) -> pd.DataFrame:
    """A window as ``read_window`` gives it."""
    rng = np.random.default_rng(seed)
    click = (rng.random(rows) < rate).astype(int)
    frame = pd.DataFrame(
        {
            "place": np.arange(1, rows + 1),
            "category": rng.choice(categories or CATEGORIES, rows, p=weights),
            "hour": rng.integers(0, 24, rows),
            "price": rng.gamma(2, 10, rows),
            "click": click,
            "prediction": rng.beta(2, 5, rows),
        }
    )
    frame["nth"] = frame.groupby("click").cumcount() + 1
    return frame


def distances(config: Config, current: pd.DataFrame, reference: pd.DataFrame) -> dict[str, float]:
    return compare(config, current, reference).record["distances"]


def test_a_window_does_not_differ_from_itself(config: Config) -> None:
    found = distances(config, window(1), window(1))
    assert set(found) == set(config.drift.thresholds.model_dump())
    assert max(found.values()) == pytest.approx(0, abs=1e-9)


def test_two_samples_of_one_world_stay_below_every_threshold(config: Config) -> None:
    for seed in range(5):
        record = compare(config, window(seed), window(seed + 100)).record
        assert judge(config, record).state == "stable"


def test_a_shift_shows_in_the_signals_it_touches(config: Config) -> None:
    found = distances(config, window(1, weights=[0.1, 0.6, 0.2, 0.1]), window(2))
    assert found["category_shown"] > 0.2
    assert found["category_clicked"] > 0.2
    assert max(found["hour"], found["price"], found["prediction"]) < 0.15
    cheaper = window(3)
    cheaper["price"] *= 0.5
    assert distances(config, cheaper, window(2))["price"] > 0.4


def test_jensen_shannon_is_the_square_root_with_natural_logarithm(config: Config) -> None:
    current, reference = window(1, weights=[0.4, 0.3, 0.2, 0.1]), window(2)
    shares = [
        frame["category"].value_counts(normalize=True).reindex(CATEGORIES).to_numpy()
        for frame in (current, reference)
    ]
    found = distances(config, current, reference)["category_shown"]
    assert found == pytest.approx(jensenshannon(*shares), abs=1e-6)


def test_price_distance_is_in_standard_deviations_of_the_reference(config: Config) -> None:
    reference = window(2)
    current = reference.assign(price=reference["price"] + reference["price"].std(ddof=0))
    assert distances(config, current, reference)["price"] == pytest.approx(1, rel=0.01)


def test_many_categories_are_reduced_before_they_are_compared(config: Config) -> None:
    names = [f"category {number}" for number in range(1500)]
    found = distances(config, window(1, categories=names), window(2, categories=names))
    assert found["category_shown"] < config.drift.thresholds.category_shown


def test_windows_of_unequal_size_are_cut_to_the_smaller(config: Config) -> None:
    record = compare(config, window(1, rows=500), window(2, rows=2000)).record
    assert record["window_rows"] == 500
    assert record["window_clicks"] <= 500


def test_a_column_without_values_is_no_signal(config: Config) -> None:
    found = distances(config, window(1).assign(price=None), window(2).assign(price=None))
    assert "price" not in found
    assert len(found) == 5


def test_missing_categories_are_a_category_of_their_own(config: Config) -> None:
    current = window(1)
    current.loc[:999, "category"] = None
    record = compare(config, current, window(2)).record
    shares = {row["category"]: row for row in record["shares"]["shown"]}
    assert shares["(none)"]["current"] == pytest.approx(0.5)
    assert record["distances"]["category_shown"] > 0.3


def test_predictions_alone_are_compared_with_the_newest_rows(config: Config) -> None:
    current, reference, newest = window(1), window(2), window(3, weights=[0.7, 0.1, 0.1, 0.1])
    reference["prediction"] += 0.3
    plain = compare(config, current, reference).record["distances"]
    found = compare(config, current, reference, newest).record["distances"]
    assert plain["prediction"] > 1 > 0.1 > found["prediction"]
    assert {**found, "prediction": 0} == {**plain, "prediction": 0}


@pytest.mark.parametrize(("rows", "used"), [(0, False), (999, False), (1000, True)])
def test_too_few_newest_rows_leave_predictions_to_the_whole_reference(
    config: Config, rows: int, used: bool
) -> None:
    current, reference = window(1), window(2)
    reference["prediction"] += 0.3
    found = compare(config, current, reference, window(3, rows=rows)).record["distances"]
    assert (found["prediction"] < 0.15) is used


def test_evidently_s_page_names_our_threshold_s_verdict(config: Config, tmp_path) -> None:
    compared = compare(config, window(1, weights=[0.33, 0.27, 0.2, 0.2]), window(2))
    found = compared.record["distances"]["category_shown"]
    assert 0.05 < found < 0.15
    for limit, verdict in ((found / 2, True), (found * 2, False)):
        thresholds = config.drift.thresholds.model_copy(update={"category_shown": limit})
        drift = config.drift.model_copy(update={"thresholds": thresholds})
        record = compare(
            config.model_copy(update={"drift": drift}),
            window(1, weights=[0.33, 0.27, 0.2, 0.2]),
            window(2),
        ).record
        figures = {
            metric["config"]["column"]: metric["config"]["threshold"]
            for metric in record["evidently"]
        }
        assert (found >= figures["category_shown"]) is verdict
