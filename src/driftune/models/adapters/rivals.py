"""The rivals of IAK behind the same interface: LoRA, Houlsby's adapter, a copy of the module."""

import copy
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from driftune.models.adapters.config import (
    CopyConfig,
    HoulsbyConfig,
    IAKConfig,
    KernelConfig,
    LoRAConfig,
)
from driftune.models.adapters.iak import IAKKernel
from driftune.models.adapters.kernel import Adapted, Kernel


class LoRAKernel(Kernel):
    """A low-rank update of a linear layer: its output gets alpha / rank · B A x."""

    uses_inputs: ClassVar[bool] = True

    def __init__(self, inputs: int, width: int, config: LoRAConfig) -> None:
        super().__init__()
        self.inputs, self.width, self.config = inputs, width, config
        self.down = nn.Linear(inputs, config.rank, bias=False)
        self.up = nn.Linear(config.rank, width, bias=False)
        self.gain = config.alpha / config.rank
        nn.init.zeros_(self.up.weight)

    def adapt(
        self,
        output: Tensor,
        inputs: tuple[Tensor, ...],
        generator: Generator | None = None,
        fresh: Tensor | None = None,
    ) -> Adapted:
        """See ``Kernel.adapt``."""
        if len(inputs) != 1 or inputs[0].shape[1] != self.inputs:
            raise ValueError(f"LoRA takes the layer's inputs (rows, {self.inputs})")
        return Adapted(torch.add(output, self.up(self.down(inputs[0])), alpha=self.gain))


class HoulsbyKernel(Kernel):
    """A bottleneck adapter after a module: h + U·relu(D·h)."""

    def __init__(self, width: int, config: HoulsbyConfig) -> None:
        super().__init__()
        self.width, self.config = width, config
        self.down = nn.Linear(width, config.bottleneck)
        self.up = nn.Linear(config.bottleneck, width)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def adapt(
        self,
        output: Tensor,
        inputs: tuple[Tensor, ...],
        generator: Generator | None = None,
        fresh: Tensor | None = None,
    ) -> Adapted:
        """See ``Kernel.adapt``; ``inputs`` is not used."""
        if output.shape[1] != self.width:
            raise ValueError(f"h is {tuple(output.shape)}; the kernel takes (rows, {self.width})")
        return Adapted(output + self.up(functional.relu(self.down(output))))


class CopyKernel(Kernel):
    """The domain's own copy of a module, in the place of the frozen one.

    The copy runs in evaluation mode: batch-norm statistics and dropout stay as they are.
    """

    uses_inputs: ClassVar[bool] = True
    replaces: ClassVar[bool] = True

    def __init__(self, module: nn.Module, config: CopyConfig) -> None:
        super().__init__()
        self.width, self.config = 0, config
        self.module = copy.deepcopy(module).requires_grad_(True)
        self.module._forward_hooks.clear()
        self.train(False)

    def train(self, mode: bool = True) -> "CopyKernel":
        """Set the kernel's mode; the copy stays in evaluation."""
        super().train(mode)
        self.module.eval()
        return self

    def adapt(
        self,
        output: Tensor,
        inputs: tuple[Tensor, ...],
        generator: Generator | None = None,
        fresh: Tensor | None = None,
    ) -> Adapted:
        """See ``Kernel.adapt``; the module's own ``output`` is not used."""
        return Adapted(self.module(*inputs))


def make_kernel(
    config: KernelConfig, width: int, inputs: int | None, module: nn.Module | None
) -> Kernel:
    """Make a kernel of the settings' kind; weights are drawn from torch's global generator.

    ``width`` and ``inputs``: columns of the module's output and of its first argument.

    Raises:
        ValueError: when the kind needs the layer's inputs, or the module itself, and has none.
    """
    if isinstance(config, IAKConfig):
        return IAKKernel(width, config)
    if isinstance(config, HoulsbyConfig):
        return HoulsbyKernel(width, config)
    if isinstance(config, LoRAConfig):
        if inputs is None:
            raise ValueError("LoRA needs a layer with one input (rows, columns)")
        return LoRAKernel(inputs, width, config)
    if isinstance(config, CopyConfig):
        if module is None:
            raise ValueError("a copy needs the module that it copies")
        return CopyKernel(module, config)
    raise ValueError(f"no kernel for {type(config).__name__}")
