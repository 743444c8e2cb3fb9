"""Files of counts: sparse, one row per domain, label and part."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from driftune.checksums import replacing_checked
from driftune.drift.cells import SIZES

if TYPE_CHECKING:
    import pyarrow as pa


class Counted(NamedTuple):
    """The counts of a domain (key) under a label: of its parts, each (cells,); none: no rows."""

    key: str
    label: str
    parts: Mapping[str, np.ndarray]


def read_counts(path: Path, keys: Collection[str] | None = None) -> list[Counted]:
    """Read counts as they were written; with ``keys`` those of these domains."""
    import pyarrow.parquet as pq

    wanted = None if keys is None else [("domain_key", "in", sorted(keys))]
    table = pq.read_table(path, filters=wanted)
    parts = table.column("part").to_pylist()
    values = _values(table, parts)
    found: dict[tuple[str, str], dict[str, np.ndarray]] = {}
    names = (table.column(name).to_pylist() for name in ("domain_key", "label"))
    for place, named in enumerate(zip(*names, strict=True)):
        own = found.setdefault(named, {})
        if part := parts[place]:
            own[part] = next(values[part])
    return [Counted(of_key, label, own) for (of_key, label), own in found.items()]


def _values(table: "pa.Table", parts: Sequence[str]) -> dict[str, Iterator[np.ndarray]]:
    """The counts (cells,) of each row, in order, by part; made for all rows of a part at once."""
    (lengths, flat_cells), (_, flat_counts) = (_flat(table, name) for name in ("cells", "counts"))
    number = {part: place for place, part in enumerate(SIZES)}
    of_row = np.array([number.get(part, -1) for part in parts], dtype=int)
    of_cell = np.repeat(of_row, lengths)
    found = {}
    for part, place in number.items():
        own, rows = of_cell == place, lengths[of_row == place]
        counts = np.zeros((len(rows), SIZES[part]))
        counts[np.repeat(np.arange(len(rows)), rows), flat_cells[own]] = flat_counts[own]
        found[part] = iter(counts)
    return found


def _flat(table: "pa.Table", name: str) -> tuple[np.ndarray, np.ndarray]:
    """The lengths (rows,) of a column of lists, and what they hold, one after the other."""
    lists = table.column(name).combine_chunks()
    starts = lists.offsets.to_numpy()
    return np.diff(starts), lists.values.to_numpy()[starts[0] : starts[-1]]


def write_counts(path: Path, counted: Iterable[Counted]) -> None:
    """Write counts with their checksum beside them; those of a domain lie together."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        (key, label, part, np.flatnonzero(values), values[values != 0])
        for key, label, parts in sorted(counted, key=lambda each: each[:2])
        for part, values in (parts or {"": np.zeros(0)}).items()
    ]
    keys, labels, parts, cells, counts = zip(*rows, strict=True) if rows else ((),) * 5
    table = pa.table(
        {
            "domain_key": pa.array(keys, pa.string()),
            "label": pa.array(labels, pa.string()),
            "part": pa.array(parts, pa.string()),
            "cells": pa.array(cells, pa.list_(pa.int32())),
            "counts": pa.array(counts, pa.list_(pa.float64())),
        }
    )
    with replacing_checked(path) as part:
        pq.write_table(table, part, compression="zstd", row_group_size=1 << 14)
