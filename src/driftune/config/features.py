"""What the encoder reads, and its point-in-time counters."""

from typing import Literal

from pydantic import Field, model_validator

from driftune.config.base import Positive, Section


class Domains(Section):
    """What happens to domains that the reference days do not have."""

    unknown: Literal["quarantine", "other"] = "quarantine"


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
    half_life_days: float = Field(7.0, gt=0)
    history_days: Positive = 28
    smoothing: float = Field(20.0, gt=0)


class Features(Section):
    """What the encoder reads besides user, item, domain, category, price and hour."""

    categorical: list[str] = []
    numerical: list[str] = []
    min_count: Positive = 2
    oov_buckets: Positive = 16
    counters: Counters = Counters()

    @model_validator(mode="after")
    def _keys_exist(self) -> "Features":
        allowed = ["user", "item", "domain", "category", *self.categorical]
        for key in self.counters.per:
            for part in key:
                if part not in allowed:
                    raise ValueError(f"counters.per: {part!r} is not one of {', '.join(allowed)}")
        return self
