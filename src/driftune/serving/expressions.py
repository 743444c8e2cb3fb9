"""Roles and features that are DuckDB expressions: computed over rows as they are delivered.

DuckDB is imported when a bundle has such roles. Text files say no types, and the lake looks at a
whole day to see whether a text is a number: over texts that may be numbers nothing is computed.
"""

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from driftune.errors import RowsError
from driftune.serving.roles import Role, Roles
from driftune.serving.texts import Coded, whole

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_NAMES = re.compile(r'"((?:[^"]|"")+)"|([^\W\d]\w*)')
_NUMBER = re.compile(r"\s*([+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|true|false|nan|inf)\s*", re.I)


class Seen(NamedTuple):
    """The roles as expressions of features see them, by name: texts and numbers of the rows."""

    texts: Mapping[str, Coded]
    numbers: Mapping[str, np.ndarray]


class Expressions:
    """The expressions of a bundle's roles and features.

    ``text``: whether the logs are text files, which say no types.
    """

    def __init__(self, roles: Roles, timezone: str, *, text: bool) -> None:
        import duckdb

        self._numbers = {role.key for role in roles.numbers.values()}
        every = [*roles.ids.values(), *roles.domain, *roles.numbers.values(), roles.time.role]
        computed = [role for role in every if role.sql is not None]
        self._features = [role for role in computed if role.is_feature]
        self._roles = [role for role in computed if not role.is_feature]
        self._time, self._text, self._timezone = roles.time.role.key, text, timezone
        self._duckdb = duckdb
        self._base = duckdb.connect()
        self._base.execute(
            "SET enable_progress_bar = false; SET autoinstall_known_extensions = false; "
            "SET enable_external_access = false; SET lock_configuration = false;"
        )

    def with_roles(self, table: pa.Table) -> pa.Table:
        """The rows with a column for each role that is an expression.

        Raises:
            RowsError: in one line, when one cannot be computed.
        """
        return self._computed(table, self._roles, table)

    def with_features(self, table: pa.Table, seen: Seen) -> pa.Table:
        """The rows with a column for each feature that is an expression; it sees roles by their
        names where the rows have no such column.

        Raises:
            RowsError: in one line, when one cannot be computed.
        """
        if not self._features:
            return table
        there = {name.lower() for name in table.column_names}
        given = table
        for name, texts in seen.texts.items():
            if name not in there:
                mask = texts.codes < 0
                values = pa.array([*texts.values], pa.string())
                given = given.append_column(name, values.take(pa.array(texts.codes, mask=mask)))
        for name, numbers in seen.numbers.items():
            if name not in there:
                column = pa.array(numbers, pa.float64(), from_pandas=True)
                given = given.append_column(name, column)
        return self._computed(table, self._features, given)

    def _computed(self, table: pa.Table, roles: Iterable[Role], given: pa.Table) -> pa.Table:
        if not (wanted := list(roles)):
            return table
        if self._text:
            _check_types(given, wanted)
        con = self._base.cursor()
        try:
            con.execute(f"SET TimeZone = '{self._timezone}'")
            con.register("raw", given)
            for role in wanted:
                table = self._with(con, role, table)
        finally:
            con.close()
        return table

    def _with(self, con: "DuckDBPyConnection", role: Role, table: pa.Table) -> pa.Table:
        value = f"({role.sql})"
        number = f"TRY_CAST({value} AS DOUBLE)"
        columns = {role.source: f"{value}::VARCHAR"}
        if role.key == self._time:
            columns = {role.source: value}
        elif role.key in self._numbers:
            columns = {
                role.source: f"CASE WHEN isfinite({number}) THEN {number} END",
                role.broken: f"{value} IS NOT NULL AND NOT coalesce(isfinite({number}), false) "
                f"AND trim({value}::VARCHAR) <> ''",
            }
        named = ", ".join(f'{sql} AS "{name}"' for name, sql in columns.items())
        try:
            found = con.sql(f"SELECT {named} FROM raw").to_arrow_table()
        except self._duckdb.Error as error:
            reason = " ".join(str(error).split())[:200]
            raise RowsError(f"{role.key} = {role.sql!r} cannot be computed ({reason})") from None
        if found.num_rows != table.num_rows:
            raise RowsError(f"{role.key} = {role.sql!r} is not one value a row")
        for name in found.column_names:
            table = table.append_column(name, found[name])
        return table


def _check_types(table: pa.Table, roles: Iterable[Role]) -> None:
    """See that no text that an expression names may be a number to the lake."""
    texts = " ".join(role.sql or "" for role in roles)
    named = {(quoted or plain).lower() for quoted, plain in _NAMES.findall(texts)}
    for name in table.column_names:
        if name.lower() not in named or not pa.types.is_string(table.schema.field(name).type):
            continue
        for value in whole(table.column(name)).unique().to_pylist():
            if value is not None and _NUMBER.fullmatch(value):
                raise RowsError(
                    f"column '{name}' is part of an expression and comes as text ({value!r}), "
                    "which the lake may take for a number; give it the type of its values"
                )
