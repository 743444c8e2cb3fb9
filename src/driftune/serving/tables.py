"""Side tables of a bundle, joined to rows by their keys."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from driftune.errors import RowsError
from driftune.serving.lookup import read_arrow
from driftune.serving.roles import Role
from driftune.serving.texts import as_text, coded


@dataclass(frozen=True)
class SideTable:
    """A side table: ``key`` is the rows' column that holds its key, ``places`` of each key are
    those of ``rows``."""

    key: Role
    places: Mapping[str, int]
    rows: pa.Table

    def join(self, table: pa.Table) -> pa.Table:
        """The rows with the table's columns; null where their key is missing.

        Raises:
            RowsError: when the rows lack the key's column, or its type is another than the logs'.
        """
        if self.key.column not in table.column_names:
            raise RowsError(f"the rows lack the column {self.key.said}, which a side table needs")
        given = coded(as_text(table.column(self.key.column), self.key))
        known = np.array([self.places.get(value, -1) for value in given.values] + [-1])
        place = known[given.codes]
        index = pa.array(place, pa.int64(), mask=place < 0)
        for name in self.rows.column_names:
            table = table.append_column(name, self.rows[name].take(index))
        return table


def read_table(data: bytes, key: Role) -> SideTable:
    """Read a side table of a bundle."""
    rows = read_arrow(data)
    keys = rows["key"].to_pylist()
    return SideTable(
        key, dict(zip(keys, range(len(keys)), strict=True)), rows.drop_columns(["key"])
    )
