"""Files of counts: sparse, one row per domain, label and part."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from driftune.checksums import replacing_checked
from driftune.drift.cells import SIZES


class Counted(NamedTuple):
    """The counts of a domain (key) under a label: of its parts, each (cells,); none: no rows."""

    key: str
    label: str
    parts: Mapping[str, np.ndarray]


def read_counts(path: Path, key: str | None = None) -> list[Counted]:
    """Read counts as they were written; with ``key`` those of one domain."""
    import pyarrow.parquet as pq

    table = pq.read_table(path, filters=None if key is None else [("domain_key", "=", key)])
    cells = table.column("cells").combine_chunks()
    counts = table.column("counts").combine_chunks()
    starts = cells.offsets.to_numpy()
    flat_cells, flat_counts = cells.values.to_numpy(), counts.values.to_numpy()
    found: dict[tuple[str, str], dict[str, np.ndarray]] = {}
    names = (table.column(name).to_pylist() for name in ("domain_key", "label", "part"))
    for place, (of_key, label, part) in enumerate(zip(*names, strict=True)):
        parts = found.setdefault((of_key, label), {})
        if part:
            span = slice(starts[place], starts[place + 1])
            parts[part] = np.zeros(SIZES[part])
            parts[part][flat_cells[span]] = flat_counts[span]
    return [Counted(of_key, label, parts) for (of_key, label), parts in found.items()]


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
