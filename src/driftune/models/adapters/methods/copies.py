"""A domain's own trainable copy of a module: heads-only tuning, or full fine-tuning."""

import copy
from dataclasses import dataclass
from typing import ClassVar

from torch import Generator, Tensor, nn

from driftune.models.adapters.methods.config import KernelConfig
from driftune.models.adapters.methods.kernel import Adapted, Kernel
from driftune.models.adapters.methods.method import Method, Site
from driftune.models.adapters.methods.registry import register


@dataclass(frozen=True)
class CopyConfig(KernelConfig):
    """A domain's own trainable copy of the module.

    Heads-only tuning when it is put at the heads, full fine-tuning when it is put at the whole
    model (``at=""``).
    """

    kind: ClassVar[str] = "copy"


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


class Copy(Method[CopyConfig, CopyKernel]):
    """Copies of modules, which are saved with their model and not as adapters."""

    config, kernel = CopyConfig, CopyKernel
    saved: ClassVar[bool] = False

    def make(self, config: CopyConfig, site: Site) -> CopyKernel:
        """See ``Method.make``; it needs the module itself."""
        if site.module is None:
            raise ValueError("a copy needs the module that it copies")
        return CopyKernel(site.module, config)


register(Copy())
