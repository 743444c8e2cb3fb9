"""Rows as the model reads them: encoded as training does it, by the look-ups of a bundle."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from driftune.serving.card import Card
from driftune.serving.lookup import Counts, Field
from driftune.serving.numbers import logarithm, standardised
from driftune.serving.rows import Given
from driftune.serving.texts import Coded


@dataclass(frozen=True)
class Encoded:
    """Rows as ``models.recommender.EncodedRows`` are: ids, numbers, and columns as logged."""

    ids: Tensor
    numbers: Tensor
    table: pa.Table


def encode(
    card: Card,
    fields: Mapping[str, Field],
    counts: tuple[Counts, ...],
    given: Given,
    table: pa.Table | None = None,
) -> Encoded:
    """Encode rows as they are scored: ids (rows, fields) int64, numbers (rows, numbers) float32.

    Numbers that ``features.debias`` names have their stated value. ``table``: columns as logged.
    """
    ids = np.empty((len(given), len(card.fields)), dtype=np.int64)
    places: dict[str, np.ndarray] = {}
    for number, name in enumerate(card.fields):
        ids[:, number], places[name] = fields[name].find(_texts(given, name))
    numbers = np.empty((len(given), len(card.numbers)), dtype=np.float32)
    for counter in counts:
        counter.fill(numbers, [places[name] for name in counter.counter.key])
    raw = card.raw
    if raw:
        logged = np.stack([given.numbers[name] for name in raw.values()], axis=1)
        means, scales = (np.array(each)[[*raw]] for each in (card.means, card.scales))
        numbers[:, [*raw]] = standardised(logarithm(logged), means, scales, card.clip)
    for number, value in card.stated:
        numbers[:, number] = value
    return Encoded(
        torch.from_numpy(ids), torch.from_numpy(numbers), pa.table({}) if table is None else table
    )


def _texts(given: Given, field: str) -> Coded:
    if field == "hour":
        return Coded(given.hour, [str(hour) for hour in range(24)])
    if field == "domain":
        return Coded(given.domain.codes, given.keys)
    return given.ids[field]
