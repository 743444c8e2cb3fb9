"""What the columns of rows to be scored mean, as a manifest says it."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from driftune.io import JsonObject

WHOLE_NUMBER = re.compile(r"0|-?[1-9][0-9]*")


@dataclass(frozen=True)
class Role:
    """Where a role or feature is read: a delivered ``column``, or a DuckDB expression ``sql``.

    ``kind``: the type (DuckDB's) in which the lake knows the column, empty where it does not say;
    ``whole``: all texts that the encoder knows of it are whole numbers; ``key``: what params.yaml
    calls it.
    """

    key: str
    column: str | None = None
    sql: str | None = None
    kind: str = ""
    whole: bool = False

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


def roles_of(said: Mapping[str, Mapping[str, dict]]) -> Roles:  # type: ignore[type-arg]
    """The roles of a manifest.

    Raises:
        KeyError, TypeError: when it does not hold them.
    """
    time = said["time"]
    return Roles(
        {name: Role(**role) for name, role in said["ids"].items()},
        tuple(Role(**role) for role in said["domain"]),
        {name: Role(**role) for name, role in said["numbers"].items()},
        Time(Role(**time["role"]), str(time["unit"]), time["format"]),  # type: ignore[arg-type]
    )
