"""How a column goes with the items and users of a day: a part of the day's profile."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from driftune.quality.day_profile import AttributeProfile
from driftune.quality.drawn import Coded, Drawn, most_frequent

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Owner:
    """What an attribute belongs to, and the keys of the column's profile that say how."""

    name: Literal["item", "user"]
    share: Literal["per_item", "per_user"]
    rows: Literal["per_item_rows", "per_user_rows"]
    values: Literal["items", "users"]


ITEM = Owner("item", "per_item", "per_item_rows", "items")
USER = Owner("user", "per_user", "per_user_rows", "users")
# So many of the day's most frequent items and users are remembered, with their values.
OWNERS = 500
# Where more of users' rows differ than this share, the column is nothing of theirs to remember.
LOOSE = 0.05


def measure_attribute(drawn: Drawn, column: str, *, number: bool) -> AttributeProfile:
    """How one column of the drawn rows goes with items and users, whose ids ``drawn`` has, too.

    ``per_item`` and ``per_user``: of the rows whose item (user) has several, the share that differs
    from its most frequent value, and how many such rows there are; ``items`` and ``users``: by item
    (user) its most frequent value, of a number the median; users' where it may be an attribute of
    theirs. Ties go to the larger value.
    """
    found: AttributeProfile = {}
    for owner, rows in ((USER, drawn.by_user), (ITEM, drawn.looked)):
        owners, values = drawn.columns[f"{owner.name}_id"], drawn.columns[column]
        pairs = _pairs(owners, values, rows)
        starts = pairs.starts()
        if len(starts):
            all_rows = np.add.reduceat(pairs.rows, starts)
            several = all_rows > 1
            if total := int(all_rows[several].sum()):
                most = np.maximum.reduceat(pairs.rows, starts)
                differ = int((all_rows - most)[several].sum())
                found[owner.share], found[owner.rows] = differ / total, total
        if owner.name == "user" and found.get("per_user", 1.0) > LOOSE:
            continue
        found[owner.values] = _of_owners(pairs.known(), owners.values, values.values, number)
    return found


@dataclass(frozen=True)
class _Pairs:
    """Pairs of an owner and a value (-1: null) as codes, in this order, with their rows: (pairs,)
    each."""

    owners: np.ndarray
    values: np.ndarray
    rows: np.ndarray

    def starts(self) -> np.ndarray:
        """The places where the pairs of the next owner begin (owners,)."""
        return np.flatnonzero(np.diff(self.owners, prepend=-1))

    def known(self) -> "_Pairs":
        """Those whose value is not null."""
        known = self.values >= 0
        return _Pairs(self.owners[known], self.values[known], self.rows[known])


def _pairs(owners: Coded, values: Coded, rows: np.ndarray) -> _Pairs:
    rows = rows & (owners.codes >= 0)
    # Null has a place before the values.
    size = len(values.values) + 1
    keys, counts = np.unique(owners.codes[rows] * size + values.codes[rows] + 1, return_counts=True)
    return _Pairs(keys // size, keys % size - 1, counts)


def _of_owners(
    pairs: _Pairs, names: "pa.Array", values: "pa.Array", number: bool
) -> dict[str, float | str]:
    """By owner, those with most rows first, the median of a number or the most frequent value."""
    starts = pairs.starts()
    if not len(starts):
        return {}
    ends = np.append(starts[1:], len(pairs.owners))
    rows = np.zeros(len(names), dtype=np.int64)
    rows[pairs.owners[starts]] = np.add.reduceat(pairs.rows, starts)
    place = np.zeros(len(names), dtype=np.int64)
    place[pairs.owners[starts]] = np.arange(len(starts))
    found: dict[str, float | str] = {}
    for owner in most_frequent(names, rows, OWNERS):
        span = slice(starts[place[owner.code]], ends[place[owner.code]])
        usual = _median if number else _most
        found[owner.text] = usual(pairs.values[span], pairs.rows[span], values)
    return found


def _median(codes: np.ndarray, rows: np.ndarray, values: "pa.Array") -> float:
    """The lower median of values that ascend by their codes, each of so many rows."""
    reached = np.cumsum(rows)
    middle = np.searchsorted(reached, (reached[-1] - 1) // 2, side="right")
    return float(values[int(codes[middle])].as_py())


def _most(codes: np.ndarray, rows: np.ndarray, values: "pa.Array") -> str:
    most = codes[rows == rows.max()]
    return str(max(values[int(code)].as_py() for code in most))
