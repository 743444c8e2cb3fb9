"""Houlsby's adapter: a bottleneck after a module (Houlsby et al., arXiv 1902.00751)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Generator, Tensor, nn
from torch.nn import functional

from driftune.models.adapters.methods.config import KernelConfig, whole
from driftune.models.adapters.methods.kernel import Adapted, PackedKernel
from driftune.models.adapters.methods.method import Method, Site
from driftune.models.adapters.methods.products import add_product_, affine
from driftune.models.adapters.methods.registry import register


@dataclass(frozen=True)
class HoulsbyConfig(KernelConfig):
    """Settings of a bottleneck adapter: h + U·relu(D·h)."""

    kind: ClassVar[str] = "houlsby"

    bottleneck: int = 32

    def __post_init__(self) -> None:
        whole("bottleneck", self.bottleneck, 1)


class HoulsbyKernel(PackedKernel):
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

    def packed(self) -> list[Tensor]:
        """See ``PackedKernel.packed``."""
        layers = (self.down, self.up)
        return [each for layer in layers for each in (layer.weight.t(), layer.bias.unsqueeze(0))]

    def serve_packed(self, weights: Sequence[Tensor], h: Tensor) -> Tensor:
        """See ``PackedKernel.serve_packed``."""
        down, down_bias, up, up_bias = weights
        inner = affine(h, down, down_bias).relu_()
        return add_product_(h.add_(up_bias), inner, up)


class Houlsby(Method[HoulsbyConfig, HoulsbyKernel]):
    """Bottleneck adapters after modules."""

    config, kernel = HoulsbyConfig, HoulsbyKernel

    def make(self, config: HoulsbyConfig, site: Site) -> HoulsbyKernel:
        """See ``Method.make``."""
        return HoulsbyKernel(site.width, config)


register(Houlsby())
