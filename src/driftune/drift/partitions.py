"""Partitions of a window's rows, and of pairs of its rows: where clicks are held against what the
champion foresaw, beside categories.

Rows are dealt by price, position, hour, how often the item was shown before, regions of the item
embedding, new items, and declared features. Pairs are of rows of one user, by their categories, and
of rows of one item: users or items that turn together without any column saying who they are make
the errors of their rows alike. A recommender that gives logits alone has no regions; all else is
known of any. Regions of users are left out: a champion knows the users of the rows that trained
it, so that they look drifted from its first later day on.

A cell holds the residuals, Σ(y − p), and their information, Σ p(1 − p); of pairs Σ r·r′ and
Σ v·v′, v = p(1 − p). Their ratio is one step of Newton's method from what the champion foresees:
a shift of log-odds, and of pairs the variance of a shift that they share (score test of a variance
component: X. Lin, Biometrika 84, 1997). Both have 1 / information as their variance.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice, pairwise
from types import MappingProxyType
from typing import Literal

import numpy as np

# Steps of a standardised number, and how far they go.
NUMBER_STEP, NUMBER_LIMIT = 0.125, 4.0
NUMBERS = int(2 * NUMBER_LIMIT / NUMBER_STEP) + 1
# Steps of the logarithm of a position.
POSITION_STEP, POSITIONS = 0.125, 64
# Declared features that are looked at, of each kind, and cells of a categorical one.
DECLARED, VALUES = 4, 16
# Categories that pairs of a user's rows are told apart by; all others are one more.
PAIRED = 8
KINDS = PAIRED + 1
PAIRS_OF_USERS = "users"
# Variance of the shift of log-odds that rows of one user and category, or of one item, usually
# have in common.
USUAL_OF_USERS, USUAL_OF_ITEMS = 0.2, 0.05


@dataclass(frozen=True)
class Partition:
    """Cells that rows, or pairs of rows, are dealt to.

    ``ordered`` cells are joined with their neighbours until each has enough rows; ``pairs`` are
    compared as they are, since what all pairs share is news, too.
    """

    name: str
    label: str
    size: int
    kind: Literal["ordered", "plain", "pairs"]


PARTITIONS: tuple[Partition, ...] = (
    Partition("price", "price", 321, "ordered"),
    Partition("position", "position", POSITIONS, "ordered"),
    Partition("hour", "hour", 24, "ordered"),
    Partition("item_shown", "impressions of the item before", NUMBERS, "ordered"),
    Partition("novelty", "new items", 2, "plain"),
    Partition("item", "kind of item", 16, "plain"),
    *(Partition(f"number_{n}", "number", NUMBERS, "ordered") for n in range(DECLARED)),
    *(Partition(f"field_{n}", "feature", VALUES, "plain") for n in range(DECLARED)),
    Partition(PAIRS_OF_USERS, "within users", KINDS * (KINDS + 1) // 2, "pairs"),
    Partition("items", "within items", 1, "pairs"),
)
_ENDS = np.cumsum([each.size for each in PARTITIONS])
CELLS = int(_ENDS[-1])
STARTS: Mapping[str, int] = MappingProxyType(
    {each.name: int(end) - each.size for each, end in zip(PARTITIONS, _ENDS.tolist(), strict=True)}
)


@dataclass(frozen=True)
class Dealt:
    """The rows of a window that were dealt: cells (n,) by partition, −1 where a row has none.

    ``user``, ``item``, ``category`` (n,): what pairs of rows share, and are told apart by.
    """

    cells: Mapping[str, np.ndarray]
    user: np.ndarray
    item: np.ndarray
    category: np.ndarray

    def count(
        self, domain: np.ndarray, domains: int, click: np.ndarray, shown: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Residuals and their information, (domains, cells) each.

        ``shown``: the clicks foreseen where each row was shown; (n,) each.
        """
        residual, information = click - shown, shown * (1 - shown)
        found = np.zeros((2, domains, CELLS))
        for name, cells in self.cells.items():
            start, size = STARTS[name], _size(name)
            own = cells >= 0
            place = domain[own] * size + cells[own]
            for side, weights in zip(found, (residual, information), strict=True):
                counts = np.bincount(place, weights[own], minlength=domains * size)
                side[:, start : start + size] = counts.reshape(domains, size)
        alike = _Pairs(self.user, np.minimum(self.category, PAIRED), KINDS, USUAL_OF_USERS)
        same = _Pairs(self.item, np.zeros(len(domain), dtype=np.int64), 1, USUAL_OF_ITEMS)
        for name, pairs in ((PAIRS_OF_USERS, alike), ("items", same)):
            start, size = STARTS[name], _size(name)
            found[:, :, start : start + size] = pairs.sums(domain, domains, residual, information)
        return {"residual": found[0], "residual_information": found[1]}


def number_cells(values: np.ndarray) -> np.ndarray:
    """Cells of standardised numbers (n,)."""
    held = np.clip(values, -NUMBER_LIMIT, NUMBER_LIMIT)
    return np.asarray(np.rint((held + NUMBER_LIMIT) / NUMBER_STEP).astype(np.int64))


def position_cells(positions: np.ndarray) -> np.ndarray:
    """Cells of positions (n,); −1 where none is known."""
    known = np.isfinite(positions)
    steps = np.floor(np.log1p(np.maximum(np.where(known, positions, 0.0), 0)) / POSITION_STEP)
    return np.where(known, np.minimum(steps, POSITIONS - 1), -1).astype(np.int64)


def value_cells(ids: np.ndarray, buckets: int) -> np.ndarray:
    """Cells of an encoded feature (n,): none, new, the most frequent ones, all others."""
    rank = np.minimum(ids - buckets - 1, VALUES - 3)
    return np.where(ids == 0, 0, np.where(rank < 0, 1, rank + 2)).astype(np.int64)


def _size(name: str) -> int:
    return next(each.size for each in PARTITIONS if each.name == name)


@dataclass(frozen=True)
class _Pairs:
    """Rows that share a ``key`` (n,), each of one of ``width`` ``kinds`` (n,).

    ``usual``: variance of the shift of log-odds that those of one key and kind usually share.
    """

    key: np.ndarray
    kinds: np.ndarray
    width: int
    usual: float

    def sums(
        self, domain: np.ndarray, domains: int, residual: np.ndarray, information: np.ndarray
    ) -> np.ndarray:
        """Products over pairs of a domain's rows of one key, by their kinds, (2, domains, pairs).

        A row makes no pair with itself. Each key counts by the inverse variance of its products
        where shifts of variance ``usual`` are common, so that no single user or item outweighs
        all others.
        """
        upper = np.triu_indices(self.width)
        found = np.zeros((2, domains, len(upper[0])))
        order = np.argsort(domain, kind="stable")
        ends = np.cumsum(np.bincount(domain, minlength=domains)).tolist()
        for place, (start, end) in enumerate(pairwise([0, *ends])):
            rows = order[start:end]
            names, who = np.unique(self.key[rows], return_inverse=True)
            cell, size = who * self.width + self.kinds[rows], len(names) * self.width
            both = residual[rows], information[rows]
            weight = 1 / (1 + self.usual * np.bincount(cell, both[1], minlength=size))
            for side, each in enumerate(both):
                sums = weight * np.bincount(cell, each, minlength=size)
                own = weight**2 * np.bincount(cell, each**2, minlength=size)
                sums, own = sums.reshape(-1, self.width), own.reshape(-1, self.width).sum(axis=0)
                products = np.einsum("uk,ul->kl", sums, sums)
                np.fill_diagonal(products, (np.diag(products) - own) / 2)
                found[side, place] = products[upper]
        return found


def declared_names(categorical: Iterable[str], numerical: Iterable[str]) -> dict[str, str]:
    """The declared features that rows are partitioned by, by the partition's name."""
    found = {f"field_{n}": name for n, name in enumerate(islice(categorical, DECLARED))}
    return found | {f"number_{n}": name for n, name in enumerate(islice(numerical, DECLARED))}


def cell_name(
    declared: Mapping[str, str],
    name: str,
    cells: tuple[int, int | None],
    categories: Mapping[int, str],
) -> str:
    """What a group of a partition's cells stands for.

    ``declared``: names of the declared features, by partition; ``cells``: the group's first and
    last one, None where nothing follows; ``categories``: their names, the most frequent first.
    """
    partition = next(each for each in PARTITIONS if each.name == name)
    first = cells[0] - STARTS[name]
    last = min(partition.size - 1, (cells[1] or CELLS) - STARTS[name])
    label = declared.get(name, partition.label)
    if name == PAIRS_OF_USERS:
        left, right = (int(side[first]) for side in np.triu_indices(KINDS))
        kinds = [*list(categories.values())[:PAIRED], *["all others"] * KINDS]
        both = kinds[left] if left == right else f"{kinds[left]} with {kinds[right]}"
        return f"{label}, {both}"
    if name == "items":
        return label
    if name == "novelty":
        return "new items" if first else "known items"
    if partition.kind == "plain":
        return f"{label} {first + 1}"
    values = [_VALUES[name](cell) for cell in (first, last)] if name in _VALUES else [first, last]
    return f"{label} {values[0]:g} to {values[1]:g}"


def _price(cell: int) -> float:
    step = (cell - 160) * 0.125
    return float(f"{np.sign(step) * np.expm1(abs(step)):.3g}")


def _position(cell: int) -> float:
    return float(np.ceil(np.expm1(cell * POSITION_STEP)))


def _number(cell: int) -> float:
    return float(f"{cell * NUMBER_STEP - NUMBER_LIMIT:.3g}")


_VALUES: Mapping[str, Callable[[int], float]] = {
    "price": _price,
    "position": _position,
    **dict.fromkeys(("item_shown", *(f"number_{n}" for n in range(DECLARED))), _number),
}
