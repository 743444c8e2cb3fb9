"""A stack: many domains' kernels of one place, computed at once."""

from abc import ABC, abstractmethod
from typing import NamedTuple

from torch import Tensor

from driftune.models.adapters.folding import Through


class Stacked(NamedTuple):
    """What a stack makes of its domains' rows: ``h`` (domains, rows, width).

    ``kl`` (domains, rows): the penalty of each row in nats, None where it was not asked for.
    """

    h: Tensor
    kl: Tensor | None = None


class KernelStack(ABC):
    """Kernels of one method, place and shape; each works on its own rows, equally many.

    A domain's results must not depend on how many others there are, nor on its place among them.
    ``bottleneck``: columns of the noise that a row takes.
    """

    bottleneck: int

    @abstractmethod
    def adapt(
        self, h: Tensor, noise: Tensor | None, penalised: bool, through: Through | None = None
    ) -> Stacked:
        """The place's output ``h`` (domains, rows, width), each domain's rows by its own kernel.

        ``through``: the layer behind the place, with ``plain`` (domains, rows, out); what it makes
        of the output is returned then.

        ``noise`` (domains, rows, bottleneck): standard normal draws for training, None: none is
        added. ``penalised``: whether the penalty is wanted.
        """

    @abstractmethod
    def warm_up(self, h: Tensor, adapted: Tensor) -> Tensor:
        """The loss of each row, (domains, rows), of an epoch that warms the kernels up."""
