"""A fine-tuning method: its settings, how its kernels are made, and how they are trained."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from typing import ClassVar, Generic, NamedTuple, TypeVar

from torch import Tensor, nn

from driftune.models.adapters.methods.config import KernelConfig
from driftune.models.adapters.methods.kernel import Kernel
from driftune.models.adapters.methods.stack import KernelStack

ConfigT = TypeVar("ConfigT", bound=KernelConfig)
KernelT = TypeVar("KernelT", bound=Kernel)


class Site(NamedTuple):
    """What a method is told of the module that a kernel follows.

    ``width`` and ``inputs``: columns of its output and of its one floating-point argument, where
    it has one; ``module``: itself, None where a kernel is made for a file to be loaded into.
    """

    width: int
    inputs: int | None = None
    module: nn.Module | None = None


class Phase(NamedTuple):
    """What an epoch trains by: the kernels' ``warm_up`` or the labels; the penalty's weight."""

    warms: bool = False
    beta: float = 0.0


class Schedule:
    """How the kernels of one domain are trained, epoch by epoch; this one by the labels alone.

    ``beta``: the weight of the penalty in the end, None for methods without one; ``settled``:
    epochs that early stopping does not count.
    """

    beta: float | None = None
    settled: int = 0

    def start(self, epoch: int) -> Phase:
        """Set which parameters the epoch (1, 2, …) trains; returns what it trains by."""
        return Phase()


class Method(ABC, Generic[ConfigT, KernelT]):
    """One way to adapt a frozen model to a domain; ``register`` makes it known by its kind.

    ``config`` and ``kernel``: the classes of its settings and kernels; ``saved``: whether its
    adapters have files of their own.
    """

    config: type[ConfigT]
    kernel: type[KernelT]
    saved: ClassVar[bool] = True

    @abstractmethod
    def make(self, config: ConfigT, site: Site) -> KernelT:
        """A new kernel for a module; weights are drawn from torch's global generator.

        Raises:
            ValueError: when the module does not fit the method.
        """

    def schedule(self, kernels: Sequence[KernelT]) -> Schedule:
        """How these kernels of one domain's adapter are trained."""
        return Schedule()


class StackingMethod(Method[ConfigT, KernelT]):
    """A method that trains many domains' kernels at once; others train them one by one."""

    @abstractmethod
    def stacks_with(self, kernel: KernelT) -> Hashable:
        """What the kernels that ``stack`` takes together have in common; None: it takes none."""

    @abstractmethod
    def stack(
        self, kernels: Sequence[KernelT], values: Mapping[str, Tensor] | None = None
    ) -> KernelStack:
        """Kernels of equal ``stacks_with``, each another domain's, computed at once.

        ``values``: their parameters by name, (kernels, …), that are used in the place of theirs.
        """
