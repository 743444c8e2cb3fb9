"""From logged columns to tensors, for recommenders of the user's own: ids by a vocabulary."""

from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

Column: TypeAlias = pa.ChunkedArray | pa.Array
_TEXT = pa.large_string()


def ids_of(column: Column, vocabulary: pa.Array) -> Tensor:
    """The place of each value in the vocabulary, from 1, (rows,) int64; 0: null or not in it.

    Values of another type than the vocabulary's are compared as they are written: 7 is "7".
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if column.type != vocabulary.type:
        column, vocabulary = column.cast(_TEXT), vocabulary.cast(_TEXT)
    found = pc.index_in(column, value_set=vocabulary, skip_nulls=True)
    places = pc.add(pc.fill_null(found, -1), 1)
    return torch.from_numpy(places.to_numpy().astype(np.int64))


def padded_ids(lists: Column, vocabulary: pa.Array, length: int) -> Tensor:
    """The places of the newest values of each list, (rows, length) int64, oldest first.

    0 stands before the values of shorter lists, and for a value that is null or not in the
    vocabulary.
    """
    # In one piece the texts of many rows would outgrow the 32 bits of Arrow's offsets.
    pieces = lists.chunks if isinstance(lists, pa.ChunkedArray) else [lists]
    padded = [_padded(piece, vocabulary, length) for piece in pieces]
    return torch.cat([torch.zeros((0, length), dtype=torch.int64), *padded])


def _padded(whole: pa.Array, vocabulary: pa.Array, length: int) -> Tensor:
    counts = pc.fill_null(pc.list_value_length(whole), 0).to_numpy(zero_copy_only=False)
    values = ids_of(pc.list_flatten(whole), vocabulary)
    ends = np.cumsum(counts)
    padded = torch.zeros((len(whole), length), dtype=torch.int64)
    if not len(values):
        return padded
    row = np.repeat(np.arange(len(whole)), counts)
    from_end = ends[row] - np.arange(len(values))
    kept = from_end <= length
    columns = torch.from_numpy(length - from_end[kept])
    padded[torch.from_numpy(row[kept]), columns] = values[torch.from_numpy(kept)]
    return padded


def numbers_of(column: Column, missing: float = 0.0) -> Tensor:
    """The values as float32, (rows,); ``missing`` in the place of nulls, NaN and infinities.

    So is what float32 cannot hold.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    values = whole.to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore"):
        plain = np.asarray(values, dtype=np.float64).astype(np.float32)
    return torch.from_numpy(np.where(np.isfinite(plain), plain, np.float32(missing)))
