"""New kernels for modules, by what a module was seen to give and take."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from driftune.models.adapters.methods.config import KernelConfig
from driftune.models.adapters.methods.kernel import Kernel
from driftune.models.adapters.methods.method import Site
from driftune.models.adapters.methods.registry import method_of
from driftune.models.adapters.outputs import Output, parts_of


class Seen(NamedTuple):
    """A place's output and tensor arguments in a call without adapters."""

    output: Output
    inputs: tuple[Tensor, ...]


def make_at(config: KernelConfig, module: nn.Module, seen: Seen) -> Kernel:
    """A kernel for a module that gives and takes these.

    Raises:
        ValueError: when the module does not fit the method of the settings.
    """
    first, inputs = parts_of(seen.output)[0], seen.inputs
    linear = len(inputs) == 1 and inputs[0].ndim > 1 and inputs[0].is_floating_point()
    method = method_of(config)
    if not method.kernel.replaces and first.dtype != torch.float32:
        raise ValueError(
            f"it gives {first.dtype}; kernels work in torch.float32: use model.float(), and "
            "autocast (precision='bf16') for speed"
        )
    columns = inputs[0].shape[-1] if linear else None
    kernel = method.make(config, Site(first.shape[-1], columns, module)).to(first.device)
    if kernel.replaces:
        _check_replacement(kernel, seen)
    return kernel


def _check_replacement(kernel: Kernel, seen: Seen) -> None:
    """See that a kernel that is called with the tensors alone gives what the module gave."""
    given = parts_of(seen.output)
    try:
        found = parts_of(kernel.serve(given[0], seen.inputs))
    except (TypeError, ValueError, RuntimeError):
        found = ()
    if len(found) != len(given) or not all(map(_close, found, given)):
        raise ValueError("a copy needs a module that takes tensors by position and nothing else")


def _close(one: Tensor, other: Tensor) -> bool:
    return (
        isinstance(one, Tensor)
        and (one.shape, one.dtype) == (other.shape, other.dtype)
        and torch.allclose(one, other, equal_nan=True)
    )
