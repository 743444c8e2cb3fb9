"""What the encoder reads, and its point-in-time counters."""

import re
from collections.abc import Mapping
from typing import Literal, Self, TypeAlias

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    field_serializer,
    field_validator,
    model_serializer,
    model_validator,
)

from driftune.config.base import Positive, Section
from driftune.config.columns import ColumnRole, SqlRole

# What a feature that is no column may be called: the lake's column has a prefix before it.
_NAME = re.compile(r"\w{1,60}")
# Features before they are validated: names of columns, or names with what gives each.
Given = list[str] | Mapping[str, str | Mapping[str, str]]


class Domains(Section):
    """What happens to domains that the reference days do not have."""

    unknown: Literal["quarantine", "other"] = "quarantine"
    """`quarantine`: rows of unknown domains are rejected; `other`: they form one domain `other`."""


Value: TypeAlias = int | float | list[list[str]] | None
# A half-life of an eighth of a day keeps a day's weights, which are integers, within 2^34.
_SHORTEST = 0.125


class Counters(Section):
    """Point-in-time rolling counters: exponentially decayed rates from rows before a row.

    With ``lag_hours`` a row sees those of its own day that are so many hours older, but for their
    conversions; null: those of days before its own.
    """

    per: list[list[str]] = [
        ["item"],
        ["item", "domain"],
        ["user"],
        ["user", "domain"],
        ["category", "domain"],
        ["user", "category"],
    ]
    """Keys by which impressions, clicks and conversions are counted."""
    half_life_days: float = Field(7.0, gt=0)
    """Days after which a count weighs half."""
    history_days: Positive = 28
    """Days that a counter looks back."""
    smoothing: float = Field(20.0, gt=0)
    """Impressions at the overall rate that are added to each count."""
    lag_hours: float | None = Field(None, ge=0.1, le=168)
    """Hours after which a row, with its click, is counted; at least those after which clicks are
    known. Conversions come later, nobody knows when: those of days before a row's own are counted,
    whatever the lag. null: both from the next day on."""

    @model_validator(mode="after")
    def _lag_fits(self) -> Self:
        if self.lag_hours is None:
            return self
        if self.half_life_days < _SHORTEST:
            raise ValueError(
                f"half_life_days = {self.half_life_days:g} must be at least {_SHORTEST:g} (three "
                "hours) with lag_hours"
            )
        if self.lag_hours >= 24 * self.history_days:
            raise ValueError(
                f"lag_hours = {self.lag_hours:g} reaches beyond history_days = "
                f"{self.history_days}, nothing would be counted"
            )
        return self

    @model_serializer(mode="wrap")
    def _without_lag(self, plain: SerializerFunctionWrapHandler) -> dict[str, Value]:
        """The lag only where there is one: encoders and days without are named as ever."""
        said: dict[str, Value] = plain(self)
        if self.lag_hours is None:
            said.pop("lag_hours", None)
        return said


class Features(Section):
    """What the encoder reads besides user, item, domain, category, price and hour.

    ``categorical`` and ``numerical``: names of columns (`[a, b]`), or names of features with what
    gives each: a column, one of a table (`users.age`), or an expression (`{sql: …}`).
    """

    categorical: dict[str, ColumnRole] = {}
    """Further ids: a list of columns, or names with a column or an expression each."""
    numerical: dict[str, ColumnRole] = {}
    """Further numbers, in the same way."""
    debias: dict[Literal["position"], float] = {}
    """`{position: 1}`: training reads the role `position` as a number; what ranks rows (drift,
    gate, guard) has this value in its place, what is compared with clicks the row's own."""
    min_count: Positive = 2
    """Reference rows that an id needs for an embedding of its own; of `source.explode`, lists."""
    oov_buckets: Positive = 16
    """Embeddings that all other ids share, by a hash."""
    counters: Counters = Counters()
    """Point-in-time counters."""

    @field_validator("categorical", "numerical", mode="before")
    @classmethod
    def _by_name(cls, given: Given) -> Given:
        if isinstance(given, list) and all(isinstance(name, str) for name in given):
            if twice := next((name for name in given if given.count(name) > 1), None):
                raise ValueError(f"{twice!r} is there twice; remove one")
            return {name: name for name in given}
        return given

    @field_validator("categorical", "numerical")
    @classmethod
    def _names_are_plain(cls, given: dict[str, ColumnRole]) -> dict[str, ColumnRole]:
        for name, role in given.items():
            if role != name and not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name of a feature; use letters, digits and _")
        return given

    @field_serializer("categorical", "numerical")
    def _as_named(self, given: dict[str, ColumnRole]) -> "list[str] | dict[str, ColumnRole]":
        """Names alone where each is that of its column, as configurations of old have it."""
        return [*given] if all(role == name for name, role in given.items()) else given

    def roles(self) -> dict[str, ColumnRole]:
        """What gives each feature, by its column in the lake."""
        found = {f"f_{name}": role for name, role in self.categorical.items()}
        return found | {f"x_{name}": role for name, role in self.numerical.items()}

    def expressions(self) -> dict[str, str]:
        """The SQL expressions among the features, by their columns in the lake."""
        return {name: role.sql for name, role in self.roles().items() if isinstance(role, SqlRole)}

    def named(self, names: Mapping[str, str]) -> "Features":
        """The same with columns of these names in place of some, by their columns in the lake."""
        kinds = {"categorical": ("f_", self.categorical), "numerical": ("x_", self.numerical)}
        changed = {
            kind: {name: names.get(f"{prefix}{name}", role) for name, role in given.items()}
            for kind, (prefix, given) in kinds.items()
        }
        return self.model_copy(update=changed)

    @model_validator(mode="after")
    def _keys_exist(self) -> "Features":
        allowed = ["user", "item", "domain", "category", *self.categorical]
        for key in self.counters.per:
            for part in key:
                if part not in allowed:
                    raise ValueError(f"counters.per: {part!r} is not one of {', '.join(allowed)}")
        return self
