"""The counters of a bundle for a feature store: Parquet, keyed by entity, with their event time."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from driftune.errors import BundleError
from driftune.io import Json, JsonObject, replacing, write_json
from driftune.serving.generation import Generation, open_generation
from driftune.serving.lookup import Counts

EVENT_TIME, SAID = "event_timestamp", "features.json"


def write_features(bundle: Path, folder: Path) -> list[Path]:
    """Write a bundle's counters, a file for each of ``features.counters.per``; returns the files.

    A file has the key's columns (text; of a domain its key), the figures as the model reads them
    (float32), and ``event_timestamp``, the first instant after the bundle's day (UTC).
    ``features.json``, written last, says what each file holds, and the figures of a key that is in
    none.

    Raises:
        BundleError: when the bundle is damaged or has no counters, or the folder is none.
    """
    now = open_generation(bundle)
    if not now.counts:
        raise BundleError("features.counters.per: is empty; there are no counters to write")
    if folder.exists() and not folder.is_dir():
        raise BundleError(f"{folder}: is no folder; name one for the features")
    folder.mkdir(parents=True, exist_ok=True)
    written, views = list[Path](), list[Json]()
    for number, counts in enumerate(now.counts):
        key, names = counts.counter.key, _names(now, counts)
        path = folder / f"{number}_{re.sub(r'[^0-9A-Za-z]+', '_', '_'.join(key))}.parquet"
        with replacing(path) as part:
            pq.write_table(_table(now, counts, names), part)
        written.append(path)
        pairs = zip(names, counts.counter.unseen, strict=True)
        unseen: JsonObject = {name: float(value) for name, value in pairs}
        views.append({"file": path.name, "key": [*key], "unseen": unseen})
    said: JsonObject = {
        "bundle": now.manifest.bundle,
        "day": now.manifest.day.isoformat(),
        "event_time": EVENT_TIME,
        "views": views,
    }
    write_json(folder / SAID, said)
    return written


def _names(now: Generation, counts: Counts) -> list[str]:
    """What the encoder calls a counter's figures."""
    return [now.card.numbers[number] for number in counts.counter.numbers]


def _table(now: Generation, counts: Counts, names: list[str]) -> pa.Table:
    packed, places = counts.keys, list[np.ndarray]()
    for size in reversed(counts.sizes):
        packed, place = np.divmod(packed, max(1, size))
        places.append(place)
    columns: dict[str, pa.Array] = {}
    for name, place in zip(counts.counter.key, reversed(places), strict=True):
        texts = pa.array([*now.fields[name].places], pa.string())
        columns[name] = texts.take(pa.array(place))
    for number, name in enumerate(names):
        columns[name] = pa.array(counts.figures[:-1, number], pa.float32())
    ends = pa.scalar(now.manifest.ends, pa.timestamp("us", "UTC"))
    columns[EVENT_TIME] = pa.repeat(ends, len(counts.keys))
    return pa.table(columns)
