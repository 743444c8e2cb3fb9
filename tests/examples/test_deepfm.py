"""DeepFM."""

from collections.abc import Callable

import pytest

from tests.conftest import World
from tests.examples.lived import assert_lives


@pytest.mark.trains
def test_a_shift_is_found_adapted_to_and_taken_back(taken_up: Callable[[str], World]) -> None:
    assert_lives(taken_up("deepfm"))
