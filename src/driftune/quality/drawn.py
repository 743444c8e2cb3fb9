"""The rows drawn of a day, as codes of their values: counted here, not by a query for each column,
which costs a small day more than the counting."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from driftune.lake.duck import Connection, identifier

if TYPE_CHECKING:
    import pyarrow as pa

Column = TypeVar("Column")

# Values of columns that are read at once: tens of bytes each.
_AT_ONCE = 10_000_000


@dataclass(frozen=True)
class Coded:
    """A column: ``codes`` (rows,) of its distinct ``values``, -1 for null; numbers ascend."""

    codes: np.ndarray
    values: "pa.Array"

    def counts(self, rows: np.ndarray) -> np.ndarray:
        """How often each value occurs in some rows; ``rows`` (rows,) is a mask."""
        found: np.ndarray = np.bincount(
            self.codes[rows & (self.codes >= 0)], minlength=len(self.values)
        )
        return found


@dataclass(frozen=True)
class Drawn:
    """Columns of the drawn rows by their names; masks (rows,) of those that are ``looked`` at, and
    of those ``by_user``, which are all rows of as many users."""

    looked: np.ndarray
    by_user: np.ndarray
    columns: Mapping[str, Coded]


def in_parts(columns: Sequence[Column], rows: int) -> list[Sequence[Column]]:
    """The columns of so many rows in parts that are read at once."""
    size = max(1, _AT_ONCE // max(rows, 1))
    return [columns[start : start + size] for start in range(0, len(columns), size)]


def read_drawn(con: Connection, columns: Sequence[str]) -> Drawn:
    """Read some columns of the table ``drawn``."""
    names = ", ".join(map(identifier, columns))
    read = con.sql(f"SELECT {names}, is_looked, is_of_user FROM drawn").to_arrow_table()
    return Drawn(
        read.column("is_looked").to_numpy(),
        read.column("is_of_user").to_numpy(),
        {name: coded(read.column(name)) for name in columns},
    )


def coded(column: "pa.ChunkedArray") -> Coded:
    """A column of texts or numbers."""
    import pyarrow as pa

    whole = column.combine_chunks()
    if pa.types.is_floating(whole.type) or pa.types.is_integer(whole.type):
        values, found = np.unique(whole.drop_null().to_numpy(), return_inverse=True)
        codes = np.full(len(whole), -1)
        codes[whole.is_valid().to_numpy(zero_copy_only=False)] = found
        return Coded(codes, pa.array(values))
    encoded = whole.dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy().astype(np.int64)
    return Coded(codes, encoded.dictionary)


class Frequent(NamedTuple):
    """A value of a column: as text, its rows, its code."""

    text: str
    rows: int
    code: int


def most_frequent(
    values: "pa.Array", counts: np.ndarray, most: int | None = None
) -> list[Frequent]:
    """The values that have rows (``counts`` (values,)), those with most first, then by text.

    ``most``: so many of them at most.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    places = np.flatnonzero(counts)
    if not len(places):
        return []
    found = values.take(pa.array(places))
    if not pa.types.is_string(found.type):
        found = found.cast(pa.string())
    table = pa.table({"text": found, "rows": counts[places], "code": places})
    order = pc.select_k_unstable(
        table,
        min(most or len(places), len(places)),
        sort_keys=[("rows", "descending"), ("text", "ascending")],
    )
    columns = [column.to_pylist() for column in table.take(order).columns]
    return [Frequent(*row) for row in zip(*columns, strict=True)]
