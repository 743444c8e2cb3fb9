"""IAK as a method: how its kernels are made, and the phases of their training."""

from collections.abc import Hashable, Mapping, Sequence

from torch import Tensor

from driftune.models.adapters.methods.iak.config import IAKConfig
from driftune.models.adapters.methods.iak.kernel import IAKKernel
from driftune.models.adapters.methods.iak.stack import IAKStack
from driftune.models.adapters.methods.method import Phase, Schedule, Site, StackingMethod
from driftune.models.adapters.methods.registry import register


class IAKSchedule(Schedule):
    """Warm-up, compression and matching of a domain's kernels, as the first one's settings say."""

    def __init__(self, kernels: Sequence[IAKKernel]) -> None:
        self.kernels = list(kernels)
        self.plan = self.kernels[0].config
        self.beta = self.plan.beta
        self.settled = self.plan.warm_epochs + self.plan.compress_epochs

    def start(self, epoch: int) -> Phase:
        """See ``Schedule.start``; β rises linearly from the end of the warm-up."""
        plan, own = self.plan, epoch - self.plan.warm_epochs
        rise = min(1.0, own / plan.anneal_epochs) if plan.anneal_epochs and own > 0 else 1.0
        compresses = 0 < own <= plan.compress_epochs
        for kernel in self.kernels:
            kernel.requires_grad_(not plan.compress_epochs or own <= plan.compress_epochs)
            for parameter in kernel.matching():
                parameter.requires_grad_(not compresses)
        return Phase(own <= 0, plan.beta * rise)


class IAK(StackingMethod[IAKConfig, IAKKernel]):
    """Information-aware adaptive kernels; see ``kernel``."""

    config, kernel = IAKConfig, IAKKernel

    def make(self, config: IAKConfig, site: Site) -> IAKKernel:
        """See ``Method.make``."""
        return IAKKernel(site.width, config)

    def schedule(self, kernels: Sequence[IAKKernel]) -> IAKSchedule:
        """See ``Method.schedule``."""
        return IAKSchedule(kernels)

    def stacks_with(self, kernel: IAKKernel) -> Hashable:
        """See ``StackingMethod.stacks_with``: kernels of one shape, no fresh ids."""
        config = kernel.config
        if config.fresh_rows:
            return None
        return kernel.width, config.bottleneck, config.hidden, config.combine

    def stack(
        self, kernels: Sequence[IAKKernel], values: Mapping[str, Tensor] | None = None
    ) -> IAKStack:
        """See ``StackingMethod.stack``."""
        return IAKStack(kernels, values)


register(IAK())
