"""Rivals of IAK's size: kernels with as many parameters as IAK has at the same places."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import nn

from benchmarks.hamur import HamurKernel, count
from benchmarks.settings import FIRST, FIRST_LINEAR, IAK
from driftune.models.adapters import Adapter, IAKKernel, Kernel, KernelConfig, Site
from driftune.models.adapters.methods.registry import make_kernel
from driftune.models.esmm import ESMM, Representation

ConfigT = TypeVar("ConfigT", bound=KernelConfig)


def layers_at(at: Sequence[str]) -> tuple[str, ...]:
    """The places of LoRA for IAK's: the linear layers whose outputs IAK changes there."""
    linear = dict(zip(FIRST, FIRST_LINEAR, strict=True))
    return tuple(linear.get(place, place) for place in at)


def parameters_of_one(adapter: Adapter) -> int:
    """Parameters of an adapter that the rows of one domain pass."""
    return sum(_of_one(kernel) for _, kernel in adapter.items())


def size_at(backbone: ESMM, at: Sequence[str], config: KernelConfig, of_all: bool = False) -> int:
    """Parameters of such kernels at these places that one domain's rows pass; or of all domains.

    Nothing is drawn or held.
    """
    with torch.device("meta"):
        kernels = [make_kernel(config, _site(backbone, place)) for place in at]
    return sum(count(each) if of_all else _of_one(each) for each in kernels)


def nearest(make: Callable[[int], ConfigT], size: Callable[[ConfigT], int], wanted: int) -> ConfigT:
    """The settings ``make(n)``, n = 1, 2, …, whose size comes nearest to the wanted one.

    Sizes grow with n.
    """
    high = 1
    while size(make(high)) < wanted:
        high *= 2
    low = bisect_left(range(1, high + 1), wanted, key=lambda number: size(make(number)))
    # make(low + 1) is the first that reaches it.
    return min(
        (make(number) for number in (max(1, low), low + 1)),
        key=lambda each: abs(size(each) - wanted),
    )


def matched(backbone: nn.Module) -> tuple[int, int]:
    """LoRA's rank and Houlsby's width with as many parameters as IAK behind the first layers."""
    layers = [backbone.get_submodule(place) for place in FIRST_LINEAR]
    sizes = [each.weight.shape for each in layers if isinstance(each, nn.Linear)]
    wanted = sum(
        sum(tensor.numel() for tensor in IAKKernel(columns, IAK).parameters())
        for columns, _ in sizes
    )
    rank = round(wanted / sum(columns + inputs for columns, inputs in sizes))
    # A Houlsby adapter of width w: two matrices, w biases, and one for each column.
    width = round(
        (wanted - sum(columns for columns, _ in sizes))
        / sum(2 * columns + 1 for columns, _ in sizes)
    )
    return rank, width


def _of_one(kernel: Kernel) -> int:
    return kernel.parameters_of_one if isinstance(kernel, HamurKernel) else count(kernel)


def _site(backbone: ESMM, place: str) -> Site:
    """What is at a place: a linear layer, the representation, or a function behind a layer."""
    module = backbone.get_submodule(place)
    if isinstance(module, Representation):
        return Site(module.width)
    if isinstance(module, nn.Linear):
        return Site(module.out_features, module.in_features)
    tower, _, number = place.rpartition(".")
    width = _site(backbone, f"{tower}.{int(number) - 1}").width
    return Site(width, width)
