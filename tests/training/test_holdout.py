"""Held-out rows: the newest of each domain, of small ones and of those with hours of their own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftune.training.holdout import newest_of_each, seen_until


@given(st.lists(st.sampled_from("abcd"), max_size=60), st.floats(0, 1))
def test_each_domain_gives_its_newest_rows_and_keeps_one(domains: list[str], share: float) -> None:
    keys = np.array(domains, dtype=str)
    held = newest_of_each(keys, np.arange(len(keys)), share)
    assert held.shape == keys.shape
    for key in set(domains):
        own = held[keys == key]
        wanted = min(len(own) - int(len(own) * (1 - share)), len(own) - 1)
        assert own.tolist() == [False] * (len(own) - wanted) + [True] * wanted


def test_periods_of_the_day_are_all_judged() -> None:
    hours = np.tile(np.arange(24), 4)
    periods = np.array(["night", "morning", "noon", "evening"])[hours // 6]
    held = newest_of_each(periods, np.arange(96), 0.1)
    assert {key: int(held[periods == key].sum()) for key in set(periods)} == {
        "night": 3,
        "morning": 3,
        "noon": 3,
        "evening": 3,
    }


@pytest.mark.parametrize(("rows", "held"), [(1, 0), (2, 1), (9, 1), (10, 1), (11, 2), (20, 2)])
def test_small_domains_have_a_row_to_be_judged_by_if_they_have_two(rows: int, held: int) -> None:
    assert newest_of_each(np.full(rows, "small"), np.arange(rows), 0.1).sum() == held


def test_without_a_share_all_rows_train() -> None:
    assert not newest_of_each(np.array(["a", "b", "a"]), np.arange(3), 0.0).any()


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 12)), min_size=1, max_size=60),
    st.floats(0.01, 1),
)
def test_rows_of_one_time_are_on_one_side(rows: list[tuple[str, int]], share: float) -> None:
    rows = sorted(rows, key=lambda row: row[1])
    keys, times = np.array([key for key, _ in rows]), np.array([time for _, time in rows])
    held = newest_of_each(keys, times, share)
    for key in set(keys):
        own, when = held[keys == key], times[keys == key]
        changes = [place for place in range(1, len(own)) if when[place] != when[place - 1]]
        wanted = len(own) - min(len(own) - int(len(own) * (1 - share)), len(own) - 1)
        # The nearest change of time, the earlier one of two; without any nothing is held out.
        cut = min(changes, key=lambda place: (abs(place - wanted), place), default=len(own))
        assert own.tolist() == [place >= cut for place in range(len(own))]
    if held.any():
        until = seen_until(keys[~held], times[~held])
        assert all(time >= until[key] for key, time in zip(keys[held], times[held], strict=True))


def test_a_list_is_not_split_between_training_and_judging() -> None:
    # Six lists of eight rows: a tenth of them is five rows, which is most of a list.
    lists = np.repeat(np.arange(6), 8)
    held = newest_of_each(np.full(48, "home"), lists, 0.1)
    assert held.tolist() == [False] * 40 + [True] * 8


def test_each_domain_says_until_when_its_rows_trained() -> None:
    keys, times = np.array(["a", "b", "a", "b"]), np.array([1, 5, 7, 6])
    assert seen_until(keys, times) == {"a": 8, "b": 7}
