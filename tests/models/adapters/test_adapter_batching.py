"""Dynamic batch-aware training: sizes follow rows, an epoch passes every batch once."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftune.models.adapters.batching import batch_sizes, interleave, learning_rate_factor

counts = st.dictionaries(st.integers(0, 50), st.integers(1, 100_000), min_size=1, max_size=12)


@given(counts, st.integers(1, 4096), st.integers(1, 512), st.floats(0, 1))
def test_sizes_stay_in_their_bounds_and_follow_the_rows(
    rows: dict[int, int], largest: int, smallest: int, exponent: float
) -> None:
    sizes = batch_sizes(rows, largest, smallest, exponent)
    for slot, size in sizes.items():
        assert 1 <= size <= min(largest, rows[slot])
        assert size >= min(smallest, largest, rows[slot])
    ordered = sorted(rows, key=lambda slot: rows[slot])
    assert [sizes[slot] for slot in ordered] == sorted(sizes.values())


def test_size_is_the_square_root_of_the_share() -> None:
    assert batch_sizes({0: 10_000, 1: 2_500, 2: 1}, 512, 64, 0.5) == {0: 512, 1: 256, 2: 1}


def test_learning_rate_follows_the_square_root_of_the_batch() -> None:
    assert learning_rate_factor(128, 512) == pytest.approx(0.5)


@given(st.dictionaries(st.integers(0, 50), st.integers(1, 60), min_size=1, max_size=8))
def test_an_epoch_has_every_batch_once(batches: dict[int, int]) -> None:
    steps = list(interleave(batches))
    assert len(steps) == max(batches.values())
    assert Counter(slot for step in steps for slot in step) == batches
    assert all(steps)


def test_few_batches_are_spread_evenly() -> None:
    places = [n for n, step in enumerate(interleave({0: 12, 1: 3})) if 1 in step]
    assert places == [3, 7, 11]
