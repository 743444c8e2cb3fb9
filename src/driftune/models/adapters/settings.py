"""How adapters are trained."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class TrainConfig:
    """How adapters are trained.

    ``batch_size`` is that of the largest domain; the others' follow their rows by the power
    ``batch_exponent``, not below ``min_batch``, and their learning rates by its square root.
    ``cache_bytes``: memory for what lies below the adapters; above it, it is made anew for every
    batch. ``precision``: ``fp32`` or ``bf16`` (autocast).

    Raises:
        ValueError: naming the field and its value.
    """

    epochs: int = 12
    patience: int = 3
    batch_size: int = 512
    min_batch: int = 64
    batch_exponent: float = 0.5
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    seed: int = 0
    precision: str = "fp32"
    cache_bytes: int = 1 << 30

    def __post_init__(self) -> None:
        for name in ("epochs", "patience", "batch_size", "min_batch"):
            least = 0 if name == "epochs" else 1
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be {least} or more")
        for name in ("learning_rate", "weight_decay", "batch_exponent", "cache_bytes"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} is {value}; it must be a finite number, 0 or more")
        if self.precision not in ("fp32", "bf16"):
            raise ValueError(f"precision is {self.precision!r}; it must be fp32 or bf16")
