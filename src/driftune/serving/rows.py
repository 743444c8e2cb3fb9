"""Rows to be scored, from delivered columns to what the lake would hold of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from driftune.domains import domain_key
from driftune.errors import RowsError
from driftune.serving.expressions import Expressions, Seen
from driftune.serving.manifest import Manifest
from driftune.serving.numbers import as_numbers
from driftune.serving.roles import Role, Roles
from driftune.serving.texts import SPACES, Coded, as_text, coded, whole
from driftune.serving.times import MISSING, hours, instants

Value: TypeAlias = str | int | float | bool | Decimal | datetime | date | None
Rows: TypeAlias = pa.Table | pa.RecordBatch | Sequence[Mapping[str, Value]]
_DOT, _OTHER = "·", "other"
_WHY = {"user": "no user", "item": "no item"}


@dataclass(frozen=True)
class Given:
    """Rows as the lake would hold them.

    ``ids``: texts by field; ``domain``: the names, and ``keys`` of each of its values; ``numbers``
    (rows,) float64 by role or feature, NaN where there is none; ``time`` in microseconds since
    1970; ``hour`` 0 to 23; ``wrong``: why a row cannot be scored, by the reason, each (rows,) bool.
    """

    ids: Mapping[str, Coded]
    domain: Coded
    keys: list[str]
    numbers: Mapping[str, np.ndarray]
    time: np.ndarray
    hour: np.ndarray
    wrong: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.time)


def as_table(rows: Rows) -> pa.Table:
    """Rows as an Arrow table.

    Raises:
        RowsError: naming the row and the column, when dicts hold values of several types in one.
    """
    if isinstance(rows, pa.Table):
        return rows
    if isinstance(rows, pa.RecordBatch):
        return pa.Table.from_batches([rows])
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        kind = type(rows).__name__
        raise RowsError(f"rows must be an Arrow table or a list of dicts, not a {kind}")
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise RowsError(f"row {number} is a {type(row).__name__}; rows must be dicts")
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({name: _of_one_type(name, [row.get(name) for row in rows]) for name in names})


def _of_one_type(name: str, values: list[Value]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        reason = " ".join(str(error).split())[:200]
    # The first value with which those before it make no column.
    sound, broken = 0, len(values)
    while broken - sound > 1:
        middle = (sound + broken) // 2
        try:
            pa.array(values[:middle])
            sound = middle
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            broken = middle
    value = values[sound]
    raise RowsError(
        f"column '{name}': row {sound} has {str(value)[:40]!r} ({type(value).__name__}), which is "
        f"of another type than the rows before it, or of none that is known: {reason}"
    )


def read_rows(
    manifest: Manifest, table: pa.Table, zone: ZoneInfo, expressions: Expressions | None = None
) -> Given:
    """Read the roles and features of delivered rows; ``expressions``: those that compute some.

    Raises:
        RowsError: when a column is missing, its type is not one that the lake would read alike, or
            an expression cannot be computed.
    """
    _check_columns(manifest, table)
    reader = _Reader(manifest.roles, table)
    if expressions is not None:
        reader.table = expressions.with_roles(table)
    reader.read(features=False)
    domain = _domains(manifest, reader.table)
    reader.wrong["no domain"] = domain.codes < 0
    time, unread = _times(manifest, reader.table, zone)
    reader.wrong["time cannot be read"] = unread
    if expressions is not None:
        seen = Seen({**reader.ids, "domain": domain}, reader.numbers)
        reader.table = expressions.with_features(reader.table, seen)
    reader.read(features=True)
    keys = [manifest.keys.get(name) or domain_key(name) for name in domain.values]
    at = hours(time, zone)
    return Given(reader.ids, domain, keys, reader.numbers, time, at, reader.wrong)


class _Reader:
    """Reads ids and numbers of a table's rows, and notes which rows cannot be scored."""

    def __init__(self, roles: Roles, table: pa.Table) -> None:
        self.roles, self.table = roles, table
        self.ids: dict[str, Coded] = {}
        self.numbers: dict[str, np.ndarray] = {}
        self.wrong: dict[str, np.ndarray] = {}

    def read(self, *, features: bool) -> None:
        """Read the roles, or the features."""
        for name, role in self.roles.ids.items():
            if role.is_feature == features:
                self.ids[name] = self._id(name, role)
                if name in _WHY:
                    self.wrong[_WHY[name]] = self.ids[name].codes < 0
        for name, role in self.roles.numbers.items():
            if role.is_feature == features:
                self.numbers[name] = self._number(name, role)

    def _id(self, name: str, role: Role) -> Coded:
        if role.source not in self.table.column_names:
            return Coded(np.full(self.table.num_rows, -1), [])
        found = coded(as_text(_column(self.table, role), role))
        return found if role.is_feature or name == "category" else _without_empty(found)

    def _number(self, name: str, role: Role) -> np.ndarray:
        if role.source not in self.table.column_names:
            return np.full(self.table.num_rows, np.nan)
        numbers, broken = as_numbers(_column(self.table, role), role)
        if role.sql is not None:
            broken = np.asarray(whole(self.table.column(role.broken)), dtype=bool)
        if broken.any():
            self.wrong[f"{role.column or name} is no number"] = broken
        return numbers


def _times(manifest: Manifest, table: pa.Table, zone: ZoneInfo) -> tuple[np.ndarray, np.ndarray]:
    """Instants; those that are not given are the snapshot day's last one."""
    role = manifest.roles.time.role
    found = np.full(table.num_rows, MISSING)
    unread = np.zeros(table.num_rows, dtype=bool)
    if role.source in table.column_names:
        found, unread = instants(table.column(role.source), manifest.roles.time, zone)
    return np.where(found == MISSING, manifest.ends - 1, found), unread


def needed_columns(roles: Roles) -> list[Role]:
    """The roles and features that rows must have, if with null."""
    needed = [*(role for name, role in roles.ids.items() if name != "request"), *roles.domain]
    return needed + [role for name, role in roles.numbers.items() if name not in roles.optional]


def _check_columns(manifest: Manifest, table: pa.Table) -> None:
    """See that every column is there that a row must have, once."""
    there = table.column_names
    needed = needed_columns(manifest.roles)
    lacking = [role.said for role in needed if role.column is not None and role.column not in there]
    if lacking:
        had = ", ".join(there[:8]) or "none"
        raise RowsError(f"the rows lack the column {' and '.join(lacking[:4])}; they have {had}")
    if twice := next((name for name in there if there.count(name) > 1), None):
        raise RowsError(f"the rows have the column '{twice}' twice")


def _column(table: pa.Table, role: Role) -> pa.ChunkedArray:
    return table.column(role.source)


def _without_empty(found: Coded) -> Coded:
    """An empty text names nobody."""
    if "" not in found.values:
        return found
    empty = found.values.index("")
    return Coded(np.where(found.codes == empty, -1, found.codes), found.values)


def _domains(manifest: Manifest, table: pa.Table) -> Coded:
    """The domains' names, joined of several columns; null where a part is null or empty."""
    parts = [_trimmed(coded(as_text(_column(table, role), role))) for role in manifest.roles.domain]
    if len(parts) == 1:
        return _folded(manifest, parts[0])
    joint = np.zeros(table.num_rows, dtype=np.int64)
    for part in parts:
        joint = joint * (len(part.values) + 1) + part.codes + 1
    _, first, place = np.unique(joint, return_index=True, return_inverse=True)
    names = [_joined(parts, row) for row in first]
    named = np.array([name is not None for name in names], dtype=bool)
    codes = np.where(named[place], place, -1) if len(place) else place
    return _folded(manifest, Coded(codes, [name or "" for name in names]))


def _joined(parts: Sequence[Coded], row: int) -> str | None:
    if any(part.codes[row] < 0 for part in parts):
        return None
    return f" {_DOT} ".join(_escaped(part.values[part.codes[row]]) for part in parts)


def _folded(manifest: Manifest, found: Coded) -> Coded:
    """With ``domains.unknown: other``, domains that the reference days do not know are one."""
    if not manifest.other:
        return found
    names = [name if name in manifest.known else _OTHER for name in found.values]
    return Coded(found.codes, names)


def _trimmed(found: Coded) -> Coded:
    values = [value.strip(SPACES) for value in found.values]
    if "" not in values:
        return Coded(found.codes, values)
    named = np.array([bool(value) for value in values] + [False])
    return Coded(np.where(named[found.codes], found.codes, -1), values)


def _escaped(part: str) -> str:
    """A part in which a dot that stands alone, or is escaped, has a backslash more."""
    if _DOT not in part:
        return part
    words = part.split(" ")
    return " ".join(
        f"\\{word}" if word.endswith(_DOT) and not word[:-1].strip("\\") else word for word in words
    )
