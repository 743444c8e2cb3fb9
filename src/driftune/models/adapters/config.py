"""Shape and objective of an IAK kernel, as one validated value."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self

COMBINES = ("residual", "replace")


@dataclass(frozen=True)
class IAKConfig:
    """Settings of one IAK kernel.

    ``bottleneck``: dimensions of z. ``hidden``: width of the hidden layer of encoder and learner.
    ``combine``: ``residual`` (ĥ = h + Ĝ, exactly the base at the start) or ``replace`` (ĥ = Ĝ,
    everything downstream passes the bottleneck). ``beta``: weight of the KL term in the loss; it
    has no part in serving.

    Raises:
        ValueError: naming the field, its value and what is allowed.
    """

    bottleneck: int = 16
    hidden: int = 64
    combine: Literal["residual", "replace"] = "residual"
    beta: float = 1e-3

    def __post_init__(self) -> None:
        for name in ("bottleneck", "hidden"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ValueError(f"{name} is {value!r}; it must be a whole number, 1 or more")
        if self.combine not in COMBINES:
            raise ValueError(f"combine is {self.combine!r}; it must be one of {COMBINES}")
        real = isinstance(self.beta, int | float) and not isinstance(self.beta, bool)
        if not (real and math.isfinite(self.beta) and self.beta >= 0):
            raise ValueError(f"beta is {self.beta!r}; it must be a finite number, 0 or more")

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON-safe values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make the settings of ``values``; keys left out take their defaults.

        Raises:
            ValueError: for an unknown key or a wrong value.
        """
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ValueError(f"unknown {', '.join(unknown)}; known are {', '.join(known)}")
        return cls(**values)
