"""What the rows of the adapter benchmark may be set to: kernels, places, modes and rates."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from driftune.models.adapters import IAKConfig, KernelConfig, TrainConfig

FIRST = ("click_tower.1", "convert_tower.1")
LAST = ("click_tower.3", "convert_tower.3")
FIRST_LINEAR = ("click_tower.0", "convert_tower.0")
LINEARS = (*FIRST_LINEAR, "click_tower.2", "convert_tower.2")
HEADS = ("click_tower.4", "convert_tower.4")
INPUT = ("representation",)
POOLED = "pooled"
FIRST_POOLED = "pooled_first"
SHARED = "shared"
MODES = ("domain", POOLED, FIRST_POOLED)
RATES = (1e-3, 3e-3)
BETAS = (0.0, 1e-3)
IAK = IAKConfig(bottleneck=12, hidden=16)
# Where IAK may sit, and its size there; every rival whose place is chosen has the same three.
PLACES = (
    (IAK, INPUT),
    (IAK, FIRST),
    (replace(IAK, bottleneck=6, hidden=8), (*INPUT, *FIRST)),
)


@dataclass(frozen=True)
class Setting:
    """One way to train a method: the kernels, their places, and the optimiser's settings.

    ``mode``: ``domain`` (each its own), ``pooled`` (one for all), ``pooled_first`` (one for all,
    then each its own from it) or ``shared`` (one for all, told of each row's domain).
    """

    kernels: KernelConfig
    at: tuple[str, ...]
    config: TrainConfig
    mode: str = "domain"


@dataclass(frozen=True)
class Method:
    """One row of the table, and the settings that it may have; an ``ablation`` of IAK or not."""

    name: str
    variant: str
    settings: tuple[Setting, ...]
    ablation: bool = False


def describe(setting: Setting) -> dict[str, Any]:
    """The setting as JSON-safe values."""
    return {
        **setting.kernels.to_dict(),
        "at": list(setting.at),
        "learning_rate": setting.config.learning_rate,
        "mode": setting.mode,
    }


def grid(
    kernels: Sequence[KernelConfig],
    at: tuple[str, ...],
    rates: Sequence[float],
    modes: Sequence[str] = ("domain",),
) -> tuple[Setting, ...]:
    """Every combination of kernels, modes and learning rates at these places."""
    base = TrainConfig(epochs=12, patience=3, batch_size=512)
    return tuple(
        Setting(each, at, replace(base, learning_rate=rate), mode)
        for each in kernels
        for mode in modes
        for rate in rates
    )
