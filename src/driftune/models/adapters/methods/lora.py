"""LoRA: a low-rank update of one linear layer (Hu et al., arXiv 2106.09685)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn

from driftune.models.adapters.methods.config import KernelConfig, real, whole
from driftune.models.adapters.methods.kernel import Adapted, Kernel
from driftune.models.adapters.methods.method import Method, Site
from driftune.models.adapters.methods.registry import register


@dataclass(frozen=True)
class LoRAConfig(KernelConfig):
    """Settings of a low-rank update of one linear layer.

    The layer's output gets ``alpha / rank · B A x``; B starts at zero.
    """

    kind: ClassVar[str] = "lora"

    rank: int = 8
    alpha: float = 16.0

    def __post_init__(self) -> None:
        whole("rank", self.rank, 1)
        real("alpha", self.alpha, 0)


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


class LoRA(Method[LoRAConfig, LoRAKernel]):
    """Low-rank updates of linear layers."""

    config, kernel = LoRAConfig, LoRAKernel

    def make(self, config: LoRAConfig, site: Site) -> LoRAKernel:
        """See ``Method.make``; the module must have one argument (rows, columns)."""
        if site.inputs is None:
            raise ValueError("LoRA needs a layer with one input (rows, columns)")
        return LoRAKernel(site.inputs, site.width, config)


register(LoRA())
