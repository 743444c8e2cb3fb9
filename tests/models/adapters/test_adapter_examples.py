"""Rows to train on, and what of the frozen part is kept of them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from driftune.models.adapters import Examples
from driftune.models.adapters import examples as examples_module
from driftune.models.adapters.examples import Kept


def _rows(count: int, fresh: bool = False) -> Examples:
    ids = torch.arange(count).unsqueeze(1)
    return Examples(
        (ids, ids * 2), (ids.squeeze(1).float(),), torch.arange(count) % 3, ids if fresh else None
    )


def _below(ids: torch.Tensor, twice: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return (ids.float() + twice,)


def test_older_and_newest_rows_are_all_rows() -> None:
    older, newest = _rows(10, fresh=True).split(7)
    assert (len(older), len(newest)) == (7, 3)
    assert newest.inputs[0].squeeze(1).tolist() == [7, 8, 9]
    assert newest.fresh is not None
    assert newest.fresh.tolist() == [[7], [8], [9]]
    assert older.rows_of(1).tolist() == [1, 4]


def test_different_numbers_of_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="3 domain ids"):
        Examples((torch.zeros(4, 1),), (torch.zeros(3),), torch.zeros(3, dtype=torch.long))


@pytest.mark.parametrize("most", [1 << 20, 39, 0])
def test_kept_or_not_the_values_are_the_same(most: int) -> None:
    rows = _rows(10)
    kept = Kept(rows, _below, most)
    assert kept.size == (40 if most >= 40 else 0)
    assert kept.take(torch.tensor([3, 1]))[0].tolist() == [[9.0], [3.0]]


@given(st.integers(0, 30), st.integers(0, 200))
def test_no_more_is_kept_than_may_be(count: int, most: int) -> None:
    kept = Kept(_rows(count), _below, most)
    assert kept.size in (0, 4 * count)
    assert kept.size <= most
    assert (kept.size == 4 * count) is (count == 0 or 4 * count <= most)


def test_chunks_are_put_in_their_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples_module, "CHUNK", 4)
    sizes: list[int] = []

    def below(ids: torch.Tensor, twice: torch.Tensor) -> tuple[torch.Tensor, ...]:
        sizes.append(len(ids))
        return ids, (ids + twice).expand(-1, 2).float()

    kept = Kept(_rows(10), below, 1 << 20)
    rows = torch.tensor([9, 0, 4, 3])
    ids, sums = kept.take(rows)
    assert sizes == [10, 4, 4, 2]
    assert ids.squeeze(1).tolist() == rows.tolist()
    assert sums.tolist() == [[3.0 * row] * 2 for row in rows.tolist()]
    assert kept.size == 10 * (8 + 2 * 4)


def test_fresh_ids_of_another_length_are_refused() -> None:
    ids = torch.zeros(3, dtype=torch.long)
    with pytest.raises(ValueError, match="3 domain ids"):
        Examples((torch.zeros(3, 1),), (torch.zeros(3),), ids, torch.zeros(2, 1, dtype=torch.long))
