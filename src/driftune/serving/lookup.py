"""Look-ups of a bundle: an id's place in the vocabulary, and the counters of a key."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from driftune.serving.manifest import Counter
from driftune.serving.texts import Coded


@dataclass(frozen=True)
class Field:
    """The texts that a bundle knows of a field: each one's place, and its encoded id by place."""

    places: dict[str, int]
    ids: np.ndarray
    buckets: int

    def find(self, given: Coded) -> tuple[np.ndarray, np.ndarray]:
        """The encoded id of each row, (rows,) int64, and its place, −1 where it is not known.

        Null is 0; what is not known is in a bucket by its MD5, as DuckDB has it.
        """
        known = [self.places.get(value, -1) for value in given.values]
        ids = [
            int(self.ids[place]) if place >= 0 else bucket(value, self.buckets)
            for place, value in zip(known, given.values, strict=True)
        ]
        # The last one is that of null, −1.
        found = np.array([*ids, 0], dtype=np.int64)[given.codes]
        return found, np.array([*known, -1], dtype=np.int64)[given.codes]


def bucket(text: str, buckets: int) -> int:
    """The bucket of an id that the vocabulary lacks, from 1 on."""
    digest = hashlib.md5(text.encode("utf-8", "surrogatepass"), usedforsecurity=False)
    return 1 + int.from_bytes(digest.digest()[:4]) % buckets


def read_field(data: bytes, buckets: int) -> Field:
    """Read a field's texts (see ``serving.snapshot``)."""
    table = read_arrow(data)
    values = table.column("value").to_pylist()
    ids = table.column("id").to_numpy()
    return Field(dict(zip(values, range(len(values)), strict=True)), ids, buckets)


@dataclass(frozen=True)
class Counts:
    """The counters of one key: ``keys`` (n,) int64 in order, ``figures`` (n + 1, numbers) float32,
    of which the last are those of a key without a count. ``sizes``: places of each field."""

    counter: Counter
    keys: np.ndarray
    figures: np.ndarray
    sizes: tuple[int, ...]

    def fill(self, numbers: np.ndarray, places: Sequence[np.ndarray]) -> None:
        """Put each row's figures into its ``numbers`` (rows, all); ``places``: those of the key's
        fields, each (rows,), −1 where unknown."""
        packed = _packed(places, self.sizes)
        found = np.searchsorted(self.keys, packed)
        found[found == len(self.keys)] = 0
        known = packed >= 0
        known &= self.keys[found] == packed if len(self.keys) else False
        numbers[:, self.counter.numbers] = self.figures[np.where(known, found, -1)]


def read_counts(data: bytes, counter: Counter, sizes: tuple[int, ...]) -> Counts:
    """Read a counter (see ``serving.snapshot``)."""
    table = read_arrow(data)
    places = [
        table.column(f"k{number}").to_numpy().astype(np.int64) for number in range(len(sizes))
    ]
    figures = np.empty((table.num_rows + 1, len(counter.numbers)), dtype=np.float32)
    for number in range(len(counter.numbers)):
        figures[:-1, number] = table.column(f"x{number}").to_numpy()
    figures[-1] = counter.unseen
    packed = _packed(places, sizes)
    order = np.argsort(packed, kind="stable")
    figures[:-1] = figures[:-1][order]
    return Counts(counter, packed[order], figures, sizes)


def read_arrow(data: bytes) -> pa.Table:
    """Read a table from its file's bytes, which it goes on to use."""
    return pa.ipc.open_file(pa.py_buffer(data)).read_all()


def _packed(places: Sequence[np.ndarray], sizes: Sequence[int]) -> np.ndarray:
    """One number for the places of several fields; −1 where one is unknown."""
    packed = places[0].copy()
    for place, size in zip(places[1:], sizes[1:], strict=True):
        known = (packed >= 0) & (place >= 0)
        packed = np.where(known, packed * size + place, -1)
    return packed
