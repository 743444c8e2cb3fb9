"""From logged columns to tensors: whatever type and layout a column comes in."""

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from driftune.models.columns import Column, ids_of, numbers_of, padded_ids

ITEMS = pa.array(["a", "b", "c"])
TEXTS = st.none() | st.sampled_from(["a", "b", "c", "new", ""])


def place(value: str | None) -> int:
    """What an id is, by its definition."""
    known = ITEMS.to_pylist()
    return known.index(value) + 1 if value in known else 0


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["b", None, "new", "a"]),
        pa.array(["b", None, "new", "a"], pa.large_string()),
        pa.array(["b", None, "new", "a"]).dictionary_encode(),
        pa.array(["x", "b", None, "new", "a", "x"])[1:5],
        pa.chunked_array([["b"], [], [None, "new", "a"]], pa.string()),
        pa.chunked_array([pa.array(["b", None]), pa.array(["new", "a"])]).dictionary_encode(),
    ],
    ids=["text", "large", "dictionary", "sliced", "chunks", "dictionaries"],
)
def test_an_id_is_its_place_in_the_vocabulary(column: Column) -> None:
    found = ids_of(column, ITEMS)
    assert found.dtype == torch.int64
    assert found.tolist() == [2, 0, 0, 1]


@pytest.mark.parametrize("kind", [pa.int8(), pa.uint16(), pa.int32(), pa.int64(), pa.string()])
@pytest.mark.parametrize("vocabulary", [pa.int16(), pa.int64(), pa.string()], ids=str)
def test_whole_numbers_are_the_same_in_all_widths(kind: pa.DataType, vocabulary: pa.DataType):
    # 300 is beyond an int8.
    known = pa.array([300, 7, 1]).cast(vocabulary)
    column = pa.array([7, None, 9, 1]).cast(kind)
    assert ids_of(column, known).tolist() == [2, 0, 0, 3]


def test_a_null_in_the_vocabulary_is_no_id() -> None:
    assert ids_of(pa.array([None, "a"]), pa.array([None, "a"], pa.string())).tolist() == [0, 2]


@pytest.mark.parametrize("kind", [pa.string(), pa.null(), pa.dictionary(pa.int32(), pa.string())])
def test_columns_without_a_value(kind: pa.DataType) -> None:
    nothing = pa.chunked_array([], kind)
    assert ids_of(nothing, ITEMS).shape == (0,)
    assert ids_of(pa.nulls(2, kind), ITEMS).tolist() == [0, 0]
    assert ids_of(pa.array(["a"]), ITEMS[:0]).tolist() == [0]


@given(st.lists(st.none() | st.lists(TEXTS, max_size=6), max_size=6), st.integers(1, 4), st.data())
@pytest.mark.slow
@pytest.mark.ci
def test_pasts_are_padded_in_front(
    pasts: list[list[str | None] | None], length: int, data: st.DataObject
) -> None:
    whole = pa.array(pasts, pa.list_(pa.string()))
    start = data.draw(st.integers(0, len(pasts)))
    stop = data.draw(st.integers(start, len(pasts)))
    expected = [([0] * length + [place(value) for value in past or ()])[-length:] for past in pasts]
    found = padded_ids(whole, ITEMS, length)
    assert found.dtype == torch.int64
    assert found.shape == (len(pasts), length)
    assert found.tolist() == expected
    assert padded_ids(whole[start:stop], ITEMS, length).tolist() == expected[start:stop]
    cut = pa.chunked_array([whole[:start], whole[start:stop], whole[stop:]])
    assert padded_ids(cut, ITEMS, length).tolist() == expected


@pytest.mark.parametrize(
    "kind",
    [
        pa.large_list(pa.string()),
        pa.list_(pa.large_string()),
        pa.list_(pa.dictionary(pa.int16(), pa.string())),
    ],
    ids=str,
)
def test_lists_of_other_types_are_pasts_too(kind: pa.DataType) -> None:
    plain = pa.array([["a", "b", "c"], [], None, ["c"]], pa.list_(pa.string()))
    if pa.types.is_dictionary(kind.value_type):
        values = plain.values.dictionary_encode()
        lists = pa.ListArray.from_arrays(plain.offsets, values, mask=plain.is_null())
    else:
        lists = plain.cast(kind)
    found = padded_ids(lists, ITEMS, 2)
    assert found.tolist() == [[2, 3], [0, 0], [0, 0], [0, 3]]


def test_pasts_of_no_row_and_of_no_event() -> None:
    kind = pa.list_(pa.string())
    assert padded_ids(pa.chunked_array([], kind), ITEMS, 3).shape == (0, 3)
    assert padded_ids(pa.array([[], []]), ITEMS, 3).tolist() == [[0, 0, 0]] * 2
    assert padded_ids(pa.nulls(2, kind), ITEMS, 3).tolist() == [[0, 0, 0]] * 2


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1.5, None, np.nan, np.inf, -np.inf, 1e300]),
        pa.array([1.5, None, np.nan, np.inf, -np.inf, None]).dictionary_encode(),
        pa.chunked_array([[1.5], [None, np.nan], [np.inf, -np.inf, -1e300]]),
        pa.array([0.0, 1.5, None, np.nan, np.inf, None, None, 3.0])[1:7],
        pa.array([Decimal("1.5"), None, None, None, None, None]),
    ],
    ids=["plain", "dictionary", "chunks", "sliced", "decimal"],
)
def test_numbers_that_are_none_are_what_is_asked_for(column: Column) -> None:
    found = numbers_of(column, missing=-2.0)
    assert found.dtype == torch.float32
    assert found.tolist() == [1.5, *[-2.0] * 5]


@pytest.mark.parametrize("kind", [pa.int8(), pa.uint32(), pa.int64(), pa.float32(), pa.bool_()])
def test_numbers_of_all_types(kind: pa.DataType) -> None:
    column = pa.array([1, None, 0]).cast(kind)
    assert numbers_of(column).tolist() == [1, 0, 0]
    assert numbers_of(column[:0]).shape == (0,)
    assert numbers_of(pa.chunked_array([], kind)).shape == (0,)
