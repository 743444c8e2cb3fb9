"""What the columns of rows to be scored mean, as a manifest says it."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from driftune.io import Json, JsonObject

WHOLE_NUMBER = re.compile(r"0|-?[1-9][0-9]*")


@dataclass(frozen=True)
class Role:
    """Where a role or feature is read: a delivered ``column``, or a DuckDB expression ``sql``.

    ``kind``: the type (DuckDB's) in which the lake knows the column, empty where it does not say;
    ``whole``: all texts that the encoder knows of it are whole numbers; ``key``: what params.yaml
    calls it; ``table``, ``table_column``: of one that a side table has.
    """

    key: str
    column: str | None = None
    sql: str | None = None
    kind: str = ""
    whole: bool = False
    table: str | None = None
    table_column: str | None = None

    @property
    def source(self) -> str:
        """The column that holds it: the delivered one, or that of the expression's values."""
        return self.column or f"_driftune_{self.key}"

    @property
    def broken(self) -> str:
        """The column that says which of an expression's values are no numbers."""
        return f"_driftune_broken_{self.key}"

    @property
    def is_feature(self) -> bool:
        """Whether it is a feature and no role."""
        return self.key.startswith("features.")

    @property
    def said(self) -> str:
        """What messages call it."""
        return f"'{self.column}' ({self.key})" if self.column else f"{self.key}"


@dataclass(frozen=True)
class Time:
    """The time of an impression, as ``columns.time`` says it."""

    role: Role
    unit: str
    format: str | None


@dataclass(frozen=True)
class Roles:
    """All roles and features: ids by encoded field, the domain's columns, numbers by their names
    (``position``, ``price``, features), the time."""

    ids: Mapping[str, Role]
    domain: tuple[Role, ...]
    numbers: Mapping[str, Role]
    time: Time
    optional: tuple[str, ...] = field(default=("price", "position", "propensity"))

    def as_json(self) -> JsonObject:
        """As the manifest has it."""
        return {
            "ids": {name: asdict(role) for name, role in self.ids.items()},
            "domain": [asdict(role) for role in self.domain],
            "numbers": {name: asdict(role) for name, role in self.numbers.items()},
            "time": asdict(self.time),
        }

    @property
    def expressions(self) -> dict[str, str]:
        """The SQL expressions, by the keys of their roles."""
        every = [*self.ids.values(), *self.domain, *self.numbers.values(), self.time.role]
        return {role.key: role.sql for role in every if role.sql is not None}


def roles_of(said: JsonObject) -> Roles:
    """The roles of a manifest.

    Raises:
        KeyError, TypeError, AttributeError: when it does not hold them.
    """
    ids, domain, numbers, time = (said[name] for name in ("ids", "domain", "numbers", "time"))
    if not (isinstance(ids, dict) and isinstance(numbers, dict) and isinstance(time, dict)):
        raise TypeError("its roles are no objects")
    if not isinstance(domain, list):
        raise TypeError("its domain is no list")
    return Roles(
        {name: _role(role) for name, role in ids.items()},
        tuple(map(_role, domain)),
        {name: _role(role) for name, role in numbers.items()},
        Time(
            _role(time["role"]),
            str(time["unit"]),
            None if time["format"] is None else str(time["format"]),
        ),
    )


def _role(said: Json) -> Role:
    if not isinstance(said, dict):
        raise TypeError("a role is no object")
    named = {name: said[name] for name in ("column", "sql")}
    column, sql = (None if each is None else str(each) for each in named.values())
    of = {name: said[name] for name in ("table", "table_column")}
    table, of_table = (None if each is None else str(each) for each in of.values())
    kind, whole = str(said["kind"]), bool(said["whole"])
    return Role(str(said["key"]), column, sql, kind, whole, table, of_table)
