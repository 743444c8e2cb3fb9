"""Rivals at the places where IAK may sit, with as many parameters as IAK has at each."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from benchmarks.hamur import HamurConfig
from benchmarks.matching import layers_at, nearest, size_at
from benchmarks.proximal import ProximalConfig
from benchmarks.settings import FIRST_POOLED, PLACES, RATES, SHARED, Method, Setting, grid
from driftune.models.adapters import HoulsbyConfig, KernelConfig
from driftune.models.esmm import ESMM

ConfigT = TypeVar("ConfigT", bound=KernelConfig)
Placed = tuple[ConfigT, tuple[str, ...]]
# The pull of the paper's public configuration, and a stronger one.
PULLS = (2.0, 100.0)


def placed(backbone: ESMM, domains: int) -> list[Method]:
    """Rows of rivals with six settings each, for so many domains.

    The larger HAMUR holds as many parameters for all domains as IAK's kernels of all domains do.
    """
    loras = [_sized(backbone, _lora, layers_at(at), _wanted(backbone, at)) for at in _places()]
    houlsbys = [_sized(backbone, HoulsbyConfig, at, _wanted(backbone, at)) for at in _places()]
    small = partial(HamurConfig, domains, 6, 12)
    large = partial(HamurConfig, domains, 12, 24)
    hamurs = [_sized(backbone, small, at, _wanted(backbone, at)) for at in _places()]
    larger = [
        _sized(backbone, large, at, domains * _wanted(backbone, at), True) for at in _places()
    ]
    pulled = [(replace(lora, strength=pull), at) for lora, at in loras for pull in PULLS]
    return [
        Method("lora", "matched, place chosen", _settings(loras, RATES, FIRST_POOLED)),
        Method("houlsby", "matched, place chosen", _settings(houlsbys, RATES, FIRST_POOLED)),
        Method(
            "lora_proximal",
            "matched, place and pull chosen",
            _settings(pulled, RATES[:1], FIRST_POOLED),
        ),
        Method("hamur", "matched, place chosen", _settings(hamurs, RATES, SHARED)),
        Method("hamur", "best, place chosen", _settings(larger, RATES, SHARED)),
    ]


def _places() -> list[tuple[str, ...]]:
    return [at for _, at in PLACES]


def _wanted(backbone: ESMM, at: tuple[str, ...]) -> int:
    """Parameters of IAK at these places."""
    (kernel,) = (kernel for kernel, own in PLACES if own == at)
    return size_at(backbone, kernel, at)


def _lora(rank: int) -> ProximalConfig:
    return ProximalConfig(rank, 2.0 * rank, 0.0)


def _sized(
    backbone: ESMM,
    make: Callable[[int], ConfigT],
    at: tuple[str, ...],
    wanted: int,
    of_all: bool = False,
) -> Placed[ConfigT]:
    return nearest(make, lambda config: size_at(backbone, config, at, of_all), wanted), at


def _settings(
    kernels: Sequence[Placed[ConfigT]], rates: Sequence[float], mode: str
) -> tuple[Setting, ...]:
    return tuple(each for one, at in kernels for each in grid([one], at, rates, (mode,)))
