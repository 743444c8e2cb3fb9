"""What every kernel is to the bank and the trainer: a small module at one place of a model."""

import zlib
from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

from torch import Generator, Tensor, nn

from driftune.models.adapters.config import KernelConfig


def named_seed(seed: int, name: str) -> int:
    """A seed of its own for a domain; 32 bits, which are all that torch's CPU generator takes."""
    return zlib.crc32(f"{seed} {name}".encode())


class Adapted(NamedTuple):
    """What a kernel makes of a batch: ``h`` (rows, width); ``kl`` (rows, bottleneck) in nats.

    ``mean`` and ``sigma`` (rows, bottleneck) are those of z. The three are None for kernels
    without a bottleneck of information.
    """

    h: Tensor
    kl: Tensor | None = None
    mean: Tensor | None = None
    sigma: Tensor | None = None


class Kernel(nn.Module, ABC):
    """One domain's change at one place.

    ``width``: columns of the module's output there; ``config``: the kernel's settings;
    ``uses_inputs``: whether it looks at the module's arguments, not at the output alone;
    ``replaces``: whether it makes the output anew from them, whatever its shape (width 0).
    """

    uses_inputs: ClassVar[bool] = False
    replaces: ClassVar[bool] = False
    width: int
    config: KernelConfig

    @abstractmethod
    def adapt(
        self,
        output: Tensor,
        inputs: tuple[Tensor, ...],
        generator: Generator | None = None,
        fresh: Tensor | None = None,
    ) -> Adapted:
        """The module's ``output`` (rows, width) changed for the domain, for training.

        ``inputs`` are the module's arguments; ``fresh`` (rows, k) holds ids that the base has
        never seen, −1 where there is none.
        """

    def serve(
        self, output: Tensor, inputs: tuple[Tensor, ...], fresh: Tensor | None = None
    ) -> Tensor:
        """The same without randomness and without KL."""
        return self.adapt(output, inputs, None, fresh).h
