"""The fixed cells that the rows of a window are counted in, the same for all days and domains."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from driftune.drift.partitions import (
    CELLS,
    DECLARED,
    PAIRED,
    Dealt,
    number_cells,
    position_cells,
    value_cells,
)
from driftune.features.encoder import Encoder

if TYPE_CHECKING:
    from pyarrow import Table

    from driftune.models.recommender import Recommender

# Cells of a category: none, unknown to the reference days, the most frequent ones, all others.
NONE, NEW, FIRST, MOST = 0, 1, 2, 256
CATEGORIES = FIRST + MOST + 1
# Prices in steps of an eighth on the scale of sign(p) · ln(1 + |p|).
PRICE_STEP, PRICE_LIMIT = 0.125, 160
PRICES = 2 * PRICE_LIMIT + 1
# Predictions in steps of an eighth of a logit.
LOGIT_STEP, LOGIT_LIMIT = 0.125, 64
LOGITS = 2 * LOGIT_LIMIT + 1
# Regions of the item embedding: the sides of four random planes through its mean.
PLANES = 4

SIZES: Mapping[str, int] = {
    "rows": 2,
    "shown": CATEGORIES,
    "clicked": CATEGORIES,
    "expected": CATEGORIES,
    "information": CATEGORIES,
    "price_shown": PRICES,
    "price_clicked": PRICES,
    "hour": 24,
    "novelty": 2,
    "taste": 2**PLANES,
    "ranking": 2 * LOGITS,
    "ranking_unseen": 2 * LOGITS,
    "residual": CELLS,
    "residual_information": CELLS,
}
"""Cells of each part of a profile. ``rows``: all rows of the domain and day, and their clicks.
``expected``, ``information``: sums of p and of p(1 − p) of the champion's predicted clicks, per
category. ``ranking``: predictions of rows without a click, then of those with one;
``ranking_unseen``: of the rows that the champion was not trained on. ``residual``,
``residual_information``: see ``partitions``."""


class Cells:
    """The cells that the sampled rows of a day fall into."""

    def __init__(
        self,
        encoder: Encoder,
        model: "Recommender",
        table: "Table",
        groups: np.ndarray | None = None,
    ) -> None:
        """``groups``: of the known items (items,), in place of categories."""
        buckets = encoder.buckets
        item = table.column(f"c_{encoder.fields.index('item')}").to_numpy()
        if groups is None:
            category = table.column(f"c_{encoder.fields.index('category')}").to_numpy()
            self.category = category_cells(category, buckets)
        else:
            self.category = group_cells(groups, buckets)[item]
        self.novel = ((item >= 1) & (item <= buckets)).astype(np.int64)
        self.taste = embedding_regions(model, encoder, "item")[item]
        self.hour = table.column("hour").to_numpy().astype(np.int64)
        self.click = table.column("click").to_numpy().astype(np.int64)
        price = table.column("price").to_numpy(zero_copy_only=False).astype(float)
        self.priced = np.isfinite(price)
        self.price = price_cells(np.where(self.priced, price, 0.0))
        cells = {
            "price": np.where(self.priced, self.price, -1),
            "position": position_cells(_column(table, "position")),
            "hour": self.hour,
            "novelty": self.novel,
            "item": self.taste,
        }
        for name, number in partitioned_numbers(encoder).items():
            cells[name] = number_cells(_column(table, f"x_{encoder.numbers.index(number)}"))
        for name, field in partitioned_fields(encoder).items():
            cells[name] = value_cells(_ids(table, encoder, field), buckets)
        kinds = np.clip(self.category - FIRST, 0, PAIRED)
        kinds[self.category < FIRST] = PAIRED
        self.dealt = Dealt(cells, table.column("user_hash").to_numpy(), item, kinds)

    def count(
        self,
        domain: np.ndarray,
        domains: int,
        predicted: np.ndarray,
        shown: np.ndarray,
        unseen: np.ndarray,
    ) -> dict[str, np.ndarray]:
        """Counts (domains, cells) of every part but ``rows``.

        ``predicted``: the clicks that rows are ranked by; ``shown``: those foreseen where each row
        was shown; the same unless ``features.debias`` says so. (n,) each.
        """
        clicked = self.click == 1
        everything = np.ones(len(domain), dtype=bool)
        ranked = self.click * LOGITS + logit_cells(predicted)
        wanted: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray | None]] = {
            "shown": (self.category, everything, None),
            "clicked": (self.category, clicked, None),
            "expected": (self.category, everything, shown),
            "information": (self.category, everything, shown * (1 - shown)),
            "price_shown": (self.price, self.priced, None),
            "price_clicked": (self.price, self.priced & clicked, None),
            "hour": (self.hour, everything, None),
            "novelty": (self.novel, everything, None),
            "taste": (self.taste, clicked, None),
            "ranking": (ranked, everything, None),
            "ranking_unseen": (ranked, unseen, None),
        }
        counted = self.dealt.count(domain, domains, self.click, shown)
        for part, (cell, rows, weight) in wanted.items():
            size = SIZES[part]
            place = domain[rows] * size + cell[rows]
            weights = None if weight is None else weight[rows]
            counts = np.bincount(place, weights, minlength=domains * size)
            counted[part] = counts.reshape(domains, size).astype(float)
        return counted


def partitioned_numbers(encoder: Encoder) -> dict[str, str]:
    """The encoder's numbers that rows are partitioned by, by the partition's name."""
    found = {"item_shown": "shown_item"} if "shown_item" in encoder.numbers else {}
    own = [
        name
        for name in encoder.numbers
        if name.startswith("log_") and name not in ("log_price", "log_position")
    ]
    return found | {f"number_{place}": name for place, name in enumerate(own[:DECLARED])}


def partitioned_fields(encoder: Encoder) -> dict[str, str]:
    """The encoder's declared features that rows are partitioned by, by the partition's name."""
    known = ("user", "item", "domain", "category", "hour")
    own = [name for name in encoder.fields if name not in known]
    return {f"field_{place}": name for place, name in enumerate(own[:DECLARED])}


def _column(table: "Table", name: str) -> np.ndarray:
    return table.column(name).to_numpy(zero_copy_only=False).astype(float)


def _ids(table: "Table", encoder: Encoder, field: str) -> np.ndarray:
    ids: np.ndarray = table.column(f"c_{encoder.fields.index(field)}").to_numpy()
    return ids


def category_cells(ids: np.ndarray, buckets: int) -> np.ndarray:
    """Cells of encoded categories; the vocabulary is sorted by how often each was shown."""
    rank = ids - buckets - 1
    known = np.where(rank < MOST, FIRST + rank, FIRST + MOST)
    cells: np.ndarray = np.where(ids == 0, NONE, np.where(rank < 0, NEW, known)).astype(np.int64)
    return cells


def group_cells(groups: np.ndarray, buckets: int) -> np.ndarray:
    """The category cell (ids,) of each encoded item, by the groups of known items (items,)."""
    known = np.where(groups < MOST, FIRST + groups, FIRST + MOST)
    return np.concatenate([[NONE], np.full(buckets, NEW), known]).astype(np.int64)


def price_cells(prices: np.ndarray) -> np.ndarray:
    """Cells of prices, from negative to positive."""
    steps = np.rint(np.sign(prices) * np.log1p(np.abs(prices)) / PRICE_STEP)
    return np.asarray(np.clip(steps, -PRICE_LIMIT, PRICE_LIMIT).astype(np.int64) + PRICE_LIMIT)


def price_values() -> np.ndarray:
    """The price in the middle of each cell (cells,)."""
    steps = (np.arange(PRICES) - PRICE_LIMIT) * PRICE_STEP
    return np.asarray(np.sign(steps) * np.expm1(np.abs(steps)))


def logit_cells(predicted: np.ndarray) -> np.ndarray:
    """Cells of predicted probabilities, by their logit."""
    safe = np.clip(predicted, 1e-9, 1 - 1e-9)
    steps = np.rint(np.log(safe / (1 - safe)) / LOGIT_STEP)
    return np.asarray(np.clip(steps, -LOGIT_LIMIT, LOGIT_LIMIT).astype(np.int64) + LOGIT_LIMIT)


def logit_values() -> np.ndarray:
    """The logit in the middle of each cell (cells,)."""
    return (np.arange(LOGITS) - LOGIT_LIMIT) * LOGIT_STEP


def embedding_regions(model: "Recommender", encoder: Encoder, field: str) -> np.ndarray:
    """The region (ids,) of the model's embedding space that each id of a field lies in.

    Random planes through the mean of the known ids; a fixed seed draws the same for a model. All
    ids lie in one region where the model has no embeddings of them.
    """
    number = encoder.fields.index(field)
    vectors = model.field_vectors(number)
    if vectors is None:
        return np.zeros(encoder.sizes[number], dtype=np.int64)
    weights = vectors.detach().cpu().double().numpy()
    directions = np.random.default_rng(0).normal(size=(weights.shape[1], PLANES))
    sides = (weights - weights.mean(axis=0)) @ directions > 0
    return np.asarray(sides @ (1 << np.arange(PLANES)), dtype=np.int64)
