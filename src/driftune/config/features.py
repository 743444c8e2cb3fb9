"""What the encoder reads, and its point-in-time counters."""

from typing import Literal, Self, TypeAlias

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from driftune.config.base import Positive, Section


class Domains(Section):
    """What happens to domains that the reference days do not have."""

    unknown: Literal["quarantine", "other"] = "quarantine"
    """`quarantine`: rows of unknown domains are rejected; `other`: they form one domain `other`."""


Value: TypeAlias = int | float | list[list[str]] | None
# A half-life of an eighth of a day keeps a day's weights, which are integers, within 2^34.
_SHORTEST = 0.125


class Counters(Section):
    """Point-in-time rolling counters: exponentially decayed rates from rows before a row.

    With ``lag_hours`` a row sees those of its own day that are so many hours older; null: those of
    days before its own.
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
    known. null: from the next day on."""

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
    """What the encoder reads besides user, item, domain, category, price and hour."""

    categorical: list[str] = []
    """Further columns that are read as ids."""
    numerical: list[str] = []
    """Further columns that are read as numbers."""
    min_count: Positive = 2
    """Reference rows that an id needs for an embedding of its own; of `source.explode`, lists."""
    oov_buckets: Positive = 16
    """Embeddings that all other ids share, by a hash."""
    counters: Counters = Counters()
    """Point-in-time counters."""

    @model_validator(mode="after")
    def _keys_exist(self) -> "Features":
        allowed = ["user", "item", "domain", "category", *self.categorical]
        for key in self.counters.per:
            for part in key:
                if part not in allowed:
                    raise ValueError(f"counters.per: {part!r} is not one of {', '.join(allowed)}")
        return self
