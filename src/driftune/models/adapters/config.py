"""Settings of adapter kernels: IAK and its rivals, each as one validated value."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Literal, Self

COMBINES = ("residual", "replace")


@dataclass(frozen=True)
class KernelConfig:
    """What every kind of kernel has: a kind, JSON-safe values and their way back."""

    kind: ClassVar[str]

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


@dataclass(frozen=True)
class IAKConfig(KernelConfig):
    """Settings of one IAK kernel.

    ``bottleneck``: dimensions of z. ``hidden``: width of the hidden layer of encoder and learner.
    ``combine``: ``residual`` (ĥ = h + Ĝ, exactly the base at the start) or ``replace`` (ĥ = Ĝ,
    everything downstream passes the bottleneck). ``beta``: weight of the KL term in the loss,
    reached linearly over ``anneal_epochs``. ``warm_epochs``: epochs that reconstruct h with β = 0
    before the labels count. ``compress_epochs``: 0 trains compression and matching jointly, n > 0
    compresses for n epochs and then matches on the frozen encoder. ``fresh_rows`` and
    ``fresh_width``: a table of embeddings for ids that the base has never seen (0: none).

    Raises:
        ValueError: naming the field, its value and what is allowed.
    """

    kind: ClassVar[str] = "iak"

    bottleneck: int = 16
    hidden: int = 64
    combine: Literal["residual", "replace"] = "residual"
    beta: float = 1e-3
    anneal_epochs: int = 0
    warm_epochs: int = 0
    compress_epochs: int = 0
    fresh_rows: int = 0
    fresh_width: int = 8

    def __post_init__(self) -> None:
        for name in ("bottleneck", "hidden", "fresh_width"):
            _whole(name, getattr(self, name), 1)
        for name in ("anneal_epochs", "warm_epochs", "compress_epochs", "fresh_rows"):
            _whole(name, getattr(self, name), 0)
        if self.combine not in COMBINES:
            raise ValueError(f"combine is {self.combine!r}; it must be one of {COMBINES}")
        _real("beta", self.beta, 0)


@dataclass(frozen=True)
class LoRAConfig(KernelConfig):
    """Settings of a low-rank update of one linear layer (Hu et al., arXiv 2106.09685).

    The layer's output gets ``alpha / rank · B A x``; B starts at zero.
    """

    kind: ClassVar[str] = "lora"

    rank: int = 8
    alpha: float = 16.0

    def __post_init__(self) -> None:
        _whole("rank", self.rank, 1)
        _real("alpha", self.alpha, 0)


@dataclass(frozen=True)
class HoulsbyConfig(KernelConfig):
    """Settings of a bottleneck adapter (Houlsby et al., arXiv 1902.00751): h + U·relu(D·h)."""

    kind: ClassVar[str] = "houlsby"

    bottleneck: int = 32

    def __post_init__(self) -> None:
        _whole("bottleneck", self.bottleneck, 1)


@dataclass(frozen=True)
class CopyConfig(KernelConfig):
    """A domain's own trainable copy of the module.

    Heads-only tuning when it is put at the heads, full fine-tuning when it is put at the whole
    model (``at=""``).
    """

    kind: ClassVar[str] = "copy"


CONFIGS: dict[str, type[KernelConfig]] = {
    config.kind: config for config in (IAKConfig, LoRAConfig, HoulsbyConfig, CopyConfig)
}


def _whole(name: str, value: object, least: int) -> None:
    if type(value) is not int or value < least:
        raise ValueError(f"{name} is {value!r}; it must be a whole number, {least} or more")


def _real(name: str, value: object, least: float) -> None:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not math.isfinite(value)
        or value < least
    ):
        raise ValueError(f"{name} is {value!r}; it must be a finite number, {least} or more")
