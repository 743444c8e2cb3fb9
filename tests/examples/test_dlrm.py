"""DLRM: bags of ids, dot products, two towers."""

from collections.abc import Callable

import pytest
import torch

from tests.conftest import World
from tests.examples.conftest import Tried
from tests.examples.lived import (
    assert_lives,
    assert_scores_like,
    assert_scores_what_it_was_trained_on,
    logged,
)


def test_rows_give_numbers_whatever_they_lack(tried: Callable[[str], Tried]) -> None:
    assert_scores_like(tried("dlrm"))


@torch.inference_mode()
def test_a_bag_has_no_order_and_no_padding(tried: Callable[[str], Tried]) -> None:
    made = tried("dlrm")
    *ids, items, kinds, numbers = made.model.inputs(logged(made.table))
    both = made.model(*ids, items, kinds, numbers)
    assert [each.shape for each in both] == [(len(made.table),)] * 2
    turned = made.model(*ids, items.flip(1), kinds.flip(1), numbers)
    torch.testing.assert_close(turned, both)
    wider = [torch.nn.functional.pad(bag, (3, 0)) for bag in (items, kinds)]
    torch.testing.assert_close(made.model(*ids, *wider, numbers), both)
    assert made.model.default_places() == ["bottom.0", "click_top.0", "convert_top.0"]


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.trains
def test_a_shift_is_found_adapted_to_and_taken_back(taken_up: Callable[[str], World]) -> None:
    world = taken_up("dlrm")
    assert_scores_what_it_was_trained_on(world, "dlrm")
    assert_lives(world)
