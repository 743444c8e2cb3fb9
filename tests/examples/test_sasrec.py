"""SASRec: causal attention over what the user clicked, and none over padding."""

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
    assert_scores_like(tried("sasrec"))


@torch.inference_mode()
def test_padding_is_not_seen_and_order_is(tried: Callable[[str], Tried]) -> None:
    made = tried("sasrec")
    model, inputs = made.model, made.model.inputs(logged(made.table))
    item, kind, items, kinds = inputs
    long = (items > 0).sum(1) > 2
    assert long.any() and (items == 0).all(1).any()
    logits = model(*inputs)
    turned = items.clone()
    turned[:, -2:] = items[:, -2:].flip(1)
    assert (model(item, kind, turned, kinds) != logits)[long].any()
    model.place[:10] += 1.0
    short = (items[:, :10] == 0).all(1)
    torch.testing.assert_close(model(*inputs)[short], logits[short])
    assert not torch.allclose(model(*inputs), logits) or short.all()


@torch.inference_mode()
def test_an_event_does_not_see_later_ones(tried: Callable[[str], Tried]) -> None:
    block = tried("sasrec").model.blocks[0]
    past, seen = torch.randn(2, 6, 16), torch.ones(6, 6, dtype=torch.bool).tril()
    before = block(past, seen)
    past[:, 4:] += 1.0
    after = block(past, seen)
    torch.testing.assert_close(after[:, :4], before[:, :4])
    assert not torch.allclose(after[:, 4:], before[:, 4:])


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.trains
def test_a_shift_is_found_adapted_to_and_taken_back(taken_up: Callable[[str], World]) -> None:
    world = taken_up("sasrec")
    assert_scores_what_it_was_trained_on(world, "sasrec")
    assert_lives(world)
