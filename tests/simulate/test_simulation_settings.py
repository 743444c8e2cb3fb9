"""Settings: wrong ones are refused, the demo's are those that the documents name."""

from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from driftune.simulate import Event, SimulationConfig

EVENT: dict[str, Any] = {
    "domain": "home · north",
    "day": date(2026, 3, 4),
    "favour": ["coffee"],
    "against": ["curry"],
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"domain": "home · moon"}, "unknown domain"),
        ({"favour": ["pizza"]}, "pizza"),
        ({"day": date(2026, 3, 2)}, "must lie after"),
        ({"day": date(2026, 3, 12)}, "not after"),
        ({"against": ["coffee"]}, "both"),
        ({"size": 0.0}, "greater than 0"),
        ({"kind": "slow"}, "abrupt"),
        ({"favour": []}, "at least 1"),
    ],
)
def test_events_that_cannot_be_planted_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SimulationConfig.model_validate(
            {"start": date(2026, 3, 2), "days": 10, "events": [EVENT | change]}
        )


@pytest.mark.parametrize(
    "change",
    [
        {"row_per_domain": 10},
        {"days": 0},
        {"items": 10},
        {"scenes": ["home", "home"]},
        {"categories": [f"c{number}" for number in range(11)], "items": 50},
    ],
)
def test_impossible_sizes_and_unknown_keys_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SimulationConfig.model_validate({"start": date(2026, 3, 2), "days": 10} | change)


def test_demo_has_ten_reference_days_before_shifts_in_some_of_six_domains(
    demo: SimulationConfig,
) -> None:
    assert demo.calendar[0] == date(2026, 3, 2)
    assert demo.calendar[0].weekday() == 0
    assert demo.calendar[-1] == date(2026, 3, 23)
    assert len(demo.domains) == 6
    assert min(event.day for event in demo.events) > date(2026, 3, 12)
    assert len({event.domain for event in demo.events}) == len(demo.events) == 3


def test_events_keep_their_default_size() -> None:
    assert Event(**EVENT).size == 1.0
