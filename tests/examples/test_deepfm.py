"""A library's DeepFM: its own model, scored as the library scores."""

from collections.abc import Callable

import pytest
import torch

from tests.conftest import World
from tests.examples.conftest import Tried
from tests.examples.lived import (
    assert_lives,
    assert_scores_like,
    assert_scores_what_it_was_trained_on,
    clicks,
    logged,
)

pytest.importorskip("torch_rechub")


def test_rows_give_numbers_whatever_they_lack(tried: Callable[[str], Tried]) -> None:
    assert_scores_like(tried("deepfm"))


def test_its_probabilities_are_the_library_s(tried: Callable[[str], Tried]) -> None:
    made = tried("deepfm")
    inputs = made.model.inputs(logged(made.table))
    columns = dict(zip((*made.module.FIELDS, "price"), inputs, strict=True))
    with torch.inference_mode():
        found = torch.sigmoid(clicks(made, made.table))
        torch.testing.assert_close(found, made.model.library(columns))
    assert made.model.default_places() == ["library.mlp.mlp.0"]


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.trains
def test_a_shift_is_found_adapted_to_and_taken_back(taken_up: Callable[[str], World]) -> None:
    world = taken_up("deepfm")
    assert_scores_what_it_was_trained_on(world, "deepfm")
    assert_lives(world)
