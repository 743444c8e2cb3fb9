"""What the encoder reads, and its point-in-time counters."""

from typing import Literal

from pydantic import Field, model_validator

from driftune.config.base import Positive, Section


class Domains(Section):
    """What happens to domains that the reference days do not have."""

    unknown: Literal["quarantine", "other"] = "quarantine"
    """`quarantine`: rows of unknown domains are rejected; `other`: they form one domain `other`."""


class Counters(Section):
    """Point-in-time rolling counters: exponentially decayed rates from days before the row's."""

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
