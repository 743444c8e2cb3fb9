"""The section ``recommender`` of params.yaml: a model that was trained elsewhere."""

import re
from datetime import date
from typing import Literal, Self

from pydantic import Field, JsonValue, field_validator, model_validator

from driftune.config.base import Positive, Section

_FACTORY = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
ROLES = (
    *("user", "item", "domain", "time", "hour"),
    *("category", "price", "position", "request"),
)
"""Roles that a model may read. Labels are what it predicts, propensities how rows were drawn."""


class History(Section):
    """What a row knows of its user's past: the newest events before it, oldest first.

    The model reads each of ``columns`` as a list, ``history_item`` for ``item``.
    """

    of: Literal["clicks", "conversions", "impressions"] = "clicks"
    """The events; conversions are those of days before the row's own, as they come late."""
    columns: list[str] = Field(["item"], min_length=1)
    """What is known of each event: roles and features."""
    length: Positive = 50
    """Events at most, the newest ones."""
    lag_hours: float = Field(0, ge=0)
    """Events count for a row when they are more than so many hours older. For clicks and
    conversions `gate.label_delay_hours` at least."""
    days: Positive = 28
    """Days before the row's own that are looked at."""

    @field_validator("columns")
    @classmethod
    def _different(cls, columns: list[str]) -> list[str]:
        return _once(columns)


class RecommenderSettings(Section):
    """A recommender of your own in the place of the built-in one, which is then not trained."""

    factory: str
    """`package.module:function`; `function(schema, **options)` returns the model. Modules are found
    in the folder of params.yaml, too."""
    weights: str = Field(min_length=1)
    """Its tensors: a `.safetensors` file, or a state dict that `torch.save` wrote."""
    options: dict[str, JsonValue] = {}
    """Arguments of the factory."""
    code: list[str] = []
    """Files and folders whose code the model's fingerprint covers, beside the factory's file."""
    columns: list[str] = []
    """Roles and features that the model reads as the logs have them, beside what is encoded."""
    history: History | None = None
    """The user's past that the model reads; null: none."""
    trained_until: date | None = None
    """The first reference day that did not train it: rows from then on evaluate it. null: the rows
    that `reference.holdout` keeps out."""

    @field_validator("factory")
    @classmethod
    def _names_function(cls, factory: str) -> str:
        if not _FACTORY.fullmatch(factory):
            raise ValueError("must be package.module:function, such as my_models.deepfm:make")
        return factory

    @field_validator("weights")
    @classmethod
    def _known_format(cls, weights: str) -> str:
        if "://" in weights:
            raise ValueError("must be a local file; let DVC fetch it: dvc import-url URL FILE")
        return weights

    @field_validator("columns")
    @classmethod
    def _different(cls, columns: list[str]) -> list[str]:
        return _once(columns)

    @model_validator(mode="after")
    def _no_name_twice(self) -> Self:
        past = [] if self.history is None else [f"history_{n}" for n in self.history.columns]
        if both := next((name for name in past if name in self.columns), None):
            raise ValueError(f"columns: {both!r} is what the history gives, too; leave it out")
        return self

    def named(self) -> list[tuple[str, str]]:
        """Each column that it reads, after the key that names it."""
        found = [("recommender.columns", name) for name in self.columns]
        past = [] if self.history is None else self.history.columns
        return found + [("recommender.history.columns", name) for name in past]


def _once(columns: list[str]) -> list[str]:
    if twice := next((name for name in columns if columns.count(name) > 1), None):
        raise ValueError(f"{twice!r} is there twice; remove one")
    return columns
