"""Rivals at the places where IAK may sit, with as many parameters as IAK has at each."""

from collections.abc import Sequence
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
    loras: list[Placed[ProximalConfig]] = []
    houlsbys: list[Placed[HoulsbyConfig]] = []
    hamurs: list[Placed[HamurConfig]] = []
    larger: list[Placed[HamurConfig]] = []
    for iak, at in PLACES:
        wanted, layers, inner = size_at(backbone, at, iak), layers_at(at), iak.bottleneck
        one, of_layers = (partial(size_at, backbone, places) for places in (at, layers))
        every = partial(size_at, backbone, at, of_all=True)
        small = partial(HamurConfig, domains, inner // 2, inner)
        large = partial(HamurConfig, domains, inner, 2 * inner)
        loras.append((nearest(_lora, of_layers, wanted), layers))
        houlsbys.append((nearest(HoulsbyConfig, one, wanted), at))
        hamurs.append((nearest(small, one, wanted), at))
        larger.append((nearest(large, every, domains * wanted), at))
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


def _lora(rank: int) -> ProximalConfig:
    return ProximalConfig(rank, 2.0 * rank, 0.0)


def _settings(
    kernels: Sequence[Placed[ConfigT]], rates: Sequence[float], mode: str
) -> tuple[Setting, ...]:
    return tuple(each for one, at in kernels for each in grid([one], at, rates, (mode,)))
