"""An adapter: one domain's kernels, each at a place of the frozen model."""

from collections.abc import Mapping

from torch import nn

from driftune.models.adapters.methods.config import KernelConfig
from driftune.models.adapters.methods.kernel import Kernel
from driftune.models.adapters.packs import Packs


class Adapter(nn.Module):
    """One domain's kernels by the path of the module that each of them follows."""

    def __init__(self, kernels: Mapping[str, Kernel]) -> None:
        """Make an adapter of the kernels at these places.

        Raises:
            ValueError: when there is none.
        """
        super().__init__()
        if not kernels:
            raise ValueError("an adapter needs a kernel at one place at least")
        self.places = tuple(kernels)
        self.kernels = nn.ModuleList(kernels.values())
        # What the kernels are served by together; no part of what the adapter is.
        self.packs = Packs()

    def at(self, place: str) -> Kernel | None:
        """The kernel at a place, None where the adapter has none."""
        if place not in self.places:
            return None
        kernel = self.kernels[self.places.index(place)]
        return kernel if isinstance(kernel, Kernel) else None

    def items(self) -> list[tuple[str, Kernel]]:
        """Places and their kernels, in order."""
        return [
            (place, kernel)
            for place, kernel in zip(self.places, self.kernels, strict=True)
            if isinstance(kernel, Kernel)
        ]

    def is_of(self, config: KernelConfig, places: tuple[str, ...]) -> bool:
        """Whether it has kernels of these settings, whatever the β, at exactly these places."""
        kernels = [kernel for _, kernel in self.items()]
        return self.places == places and all(
            kernel.config.with_beta(0.0) == config.with_beta(0.0) for kernel in kernels
        )
