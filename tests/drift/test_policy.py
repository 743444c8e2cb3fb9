"""Policy: thresholds, what is never stable, and the sentence that explains a decision."""

from typing import Any

import pytest

from driftune.config import Config
from driftune.drift.policy import insufficient, judge

LIMITS = {
    "category_shown": 0.15,
    "category_clicked": 0.15,
    "hour": 0.25,
    "price": 0.25,
    "click": 0.12,
    "prediction": 0.35,
}


@pytest.fixture
def config(make_world) -> Config:
    """The configuration of an empty world."""
    return make_world(drift={"min_rows": 100, "min_clicks": 20, "thresholds": LIMITS}).config


def record(**distances: float | None) -> dict[str, Any]:
    """A comparison's record; signals that are not given moved by 0.01."""
    shares = [
        {"category": "noodles", "reference": 0.4, "current": 0.2},
        {"category": "coffee", "reference": 0.1, "current": 0.33},
        {"category": "salads", "reference": 0.5, "current": 0.47},
    ]
    return {
        "distances": {**dict.fromkeys(LIMITS, 0.01), **distances},
        "window_rows": 400,
        "window_clicks": 90,
        "shares": {"shown": shares, "clicked": shares},
    }


@pytest.mark.parametrize("signal", LIMITS)
def test_drift_begins_exactly_at_the_threshold(config: Config, signal: str) -> None:
    assert judge(config, record(**{signal: LIMITS[signal]})).state == "drifted"
    below = judge(config, record(**{signal: LIMITS[signal] - 1e-6}))
    assert below.state == "stable"
    assert below.score == pytest.approx(1, abs=1e-4)


def test_the_score_is_the_largest_multiple_of_a_threshold(config: Config) -> None:
    found = judge(config, record(category_clicked=0.3, click=0.6, hour=0.2))
    assert found.score == pytest.approx(5)
    assert found.sentence.startswith("Click rate moved by 0.600 (threshold 0.12); categories")


def test_the_sentence_names_the_categories_that_moved_most(config: Config) -> None:
    found = judge(config, record(category_clicked=0.3))
    assert found.sentence == (
        "Categories clicked moved by 0.300 (threshold 0.15): coffee +23 points, noodles -20 points."
    )


@pytest.mark.parametrize("signal", LIMITS)
def test_a_distance_that_could_not_be_computed_is_never_stable(config: Config, signal: str) -> None:
    found = judge(config, record(**{signal: None}))
    assert found.state == "insufficient"
    assert found.score is None


def test_no_distance_at_all_is_never_stable(config: Config) -> None:
    assert judge(config, {**record(), "distances": {}}).state == "insufficient"


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        ({"current_rows": 99}, "99 impressions in the current window, 100 needed"),
        ({"current_clicks": 19}, "19 clicks in the current window, 20 needed"),
        ({"reference_rows": 0}, "0 impressions in the reference window, 100 needed"),
        ({"reference_clicks": 3}, "3 clicks in the reference window, 20 needed"),
        ({"current_hours": 11}, "A partial day: the day has impressions in 11 hours, 12 needed."),
    ],
)
def test_windows_that_are_too_small_say_which_and_how_small(
    config: Config, counts: dict[str, int], sentence: str
) -> None:
    enough = dict.fromkeys(("current_rows", "reference_rows"), 100)
    enough |= dict.fromkeys(("current_clicks", "reference_clicks"), 20) | {"current_hours": 12}
    assert insufficient(config, enough) is None
    found = insufficient(config, {**enough, **counts})
    assert found is not None
    assert (found.state, found.score) == ("insufficient", None)
    assert sentence in found.sentence


def test_a_side_without_any_rows_is_insufficient(config: Config) -> None:
    found = insufficient(config, {"current_rows": 500, "current_clicks": 50})
    assert found is not None
    assert found.state == "insufficient"
