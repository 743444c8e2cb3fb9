"""What every kernel is to bank, trainer and files: a small module at one place of a model."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, NamedTuple, Self

from torch import Generator, Tensor, nn

from driftune.models.adapters.methods.config import KernelConfig


class NotFiniteError(ValueError):
    """What the model gives for some rows is NaN or infinite: nothing can be learnt from it."""


class Adapted(NamedTuple):
    """What a kernel makes of a batch: ``h`` (rows, width); ``kl`` (rows, bottleneck) in nats.

    ``kl`` is the method's penalty: its mean over rows, summed, joins the loss with the schedule's
    weight. ``mean`` and ``sigma`` (rows, bottleneck) are those of z. The three are None for
    kernels without a bottleneck of information.
    """

    h: Tensor
    kl: Tensor | None = None
    mean: Tensor | None = None
    sigma: Tensor | None = None


class Kernel(nn.Module, ABC):
    """One domain's change at one place.

    ``width``: columns of the module's output there; ``inputs``: columns of its argument, None for
    methods whose weights do not depend on them; ``config``: the kernel's settings.
    ``uses_inputs``: whether it looks at the module's arguments, not at the output alone;
    ``replaces``: whether it makes the output anew from them, whatever its shape (width 0);
    ``has_prior``: whether ``fit_prior`` does something.

    What follows ``serve`` has defaults that do nothing, for methods without such a part.
    """

    uses_inputs: ClassVar[bool] = False
    replaces: ClassVar[bool] = False
    has_prior: ClassVar[bool] = False
    width: int
    inputs: int | None = None
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

    @property
    def needs_scale(self) -> bool:
        """Whether the kernel is still to be standardised before it is trained."""
        return False

    def fit_scale(self, h: Tensor) -> None:
        """Standardise the kernel by what its place gives, (rows, width)."""

    def take_scale(self, other: Self) -> None:
        """Take over the standardisation of another kernel of this place and method."""

    def fit_prior(self, h: Tensor, fresh: Tensor | None = None) -> None:
        """Take what the kernel makes of representations (rows, width) as its prior."""

    def warm_up(self, h: Tensor, adapted: Adapted) -> Tensor | None:
        """The loss of an epoch that warms up, in the place of the labels'; None: there is none."""
        return None


class PackedKernel(Kernel):
    """A kernel whose weights can be packed: rows of many domains then pass one product."""

    @abstractmethod
    def packed(self) -> Sequence[Tensor] | None:
        """The weights that ``serve_packed`` takes; None: rows pass ``serve`` domain by domain."""

    @abstractmethod
    def serve_packed(self, weights: Sequence[Tensor], h: Tensor) -> Tensor:
        """What ``serve`` gives without ``fresh``, for n kernels of this class and settings at once.

        ``weights``: those of ``packed``, (n, …) each; ``h`` (n, rows, width) may be written into.
        """
