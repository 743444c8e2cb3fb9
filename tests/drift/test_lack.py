"""What a domain's day lacks is named: rows, clicks, or rows without a click."""

from collections.abc import Callable

import pytest

from driftune.drift.measure import _problem as problem
from driftune.registry.records import State
from tests.conftest import World


@pytest.mark.parametrize(
    ("rows", "clicks", "state", "sentence"),
    [
        (149, 40, State.INSUFFICIENT, "Too little data: 149 impressions, 150 needed."),
        (400, 20, State.INSUFFICIENT, "Too little data: 20 clicks, 30 needed."),
        (400, 0, State.NO_CLICKS, "No clicks: 0 clicks, 30 needed."),
        (400, 380, State.INSUFFICIENT, "Too few impressions without a click: 20, 30 needed."),
        (400, 400, State.ONLY_CLICKS, "Only clicks: 0 impressions without a click, 30 needed."),
        # Few rows, and all of them clicks: more of the same would not help.
        (100, 100, State.ONLY_CLICKS, "Only clicks: 0 impressions without a click, 30 needed."),
        (20, 20, State.INSUFFICIENT, "Too little data: 20 impressions, 150 needed."),
    ],
)
def test_what_there_is_too_little_of_is_what_the_sentence_says(
    make_world: Callable[..., World], rows: int, clicks: int, state: State, sentence: str
) -> None:
    counts = {"hours": 24, "rows": rows, "clicks": clicks}
    counts |= {"reference_rows": 5000, "reference_clicks": 1000}
    found = problem(make_world().config, counts)
    assert found is not None
    assert (found.state, found.sentence) == (state, sentence)
