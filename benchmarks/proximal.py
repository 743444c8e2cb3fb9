"""LoRA that is pulled towards the champion's last state, from which it starts.

Source: Yoo et al., "Continual Low-Rank Adapters for LLM-based Generative Recommender Systems"
(PESO), ICLR 2026, arXiv 2510.25093: one low-rank update that evolves, with the penalty

    strength · Σ KL(softmax(v) ‖ softmax(v₀))

over its matrices, v being a matrix's entries in one row and v₀ those of the last state. Entries
that all move by the same amount cost nothing; near v₀ the penalty is half of the variance of the
moves under softmax(v₀). The champion here is the pooled adapter, which serves every domain until
the domain has its own; the paper's last state is that of the days before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from driftune.models.adapters import (
    Adapted,
    Kernel,
    KernelConfig,
    Method,
    Phase,
    Schedule,
    Site,
    register,
)


@dataclass(frozen=True)
class ProximalConfig(KernelConfig):
    """Settings of a low-rank update ``alpha / rank · B A x`` and of its pull, in nats.

    x are the module's inputs where it is a layer with one input (rows, columns), and its output
    where it is not.
    """

    kind: ClassVar[str] = "lora_proximal"

    rank: int = 8
    alpha: float = 16.0
    strength: float = 2.0

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ValueError(f"rank is {self.rank}; it must be 1 or more")
        if self.strength < 0:
            raise ValueError(f"strength is {self.strength}; it must be 0 or more")


class ProximalKernel(Kernel):
    """A low-rank update of a module's output, by that output itself.

    ``anchored``: whether it has a last state to stay close to; ``fit_prior`` takes the present one.
    """

    has_prior: ClassVar[bool] = True
    config: ProximalConfig
    last_down: Tensor
    last_up: Tensor

    def __init__(self, columns: int, width: int, config: ProximalConfig) -> None:
        super().__init__()
        self.width, self.config = width, config
        self.down = nn.Linear(columns, config.rank, bias=False)
        self.up = nn.Linear(config.rank, width, bias=False)
        nn.init.zeros_(self.up.weight)
        self.anchored = False
        self.register_buffer("last_down", torch.zeros_like(self.down.weight))
        self.register_buffer("last_up", torch.zeros_like(self.up.weight))

    def adapt(
        self,
        output: Tensor,
        inputs: tuple[Tensor, ...],
        generator: Generator | None = None,
        fresh: Tensor | None = None,
    ) -> Adapted:
        """See ``Kernel.adapt``; the penalty is the same for every row."""
        seen = inputs[0] if self.uses_inputs else output
        gain = self.config.alpha / self.config.rank
        changed = torch.add(output, self.up(self.down(seen)), alpha=gain)
        if not self.anchored or not self.config.strength:
            return Adapted(changed)
        return Adapted(changed, kl=self.distance().expand(len(output), 1))

    def distance(self) -> Tensor:
        """The divergence from the last state, summed over both matrices, in nats."""
        pairs = ((self.down.weight, self.last_down), (self.up.weight, self.last_up))
        return torch.stack([divergence(now, last) for now, last in pairs]).sum()

    @torch.no_grad()
    def fit_prior(self, h: Tensor, fresh: Tensor | None = None) -> None:
        """Take the present weights as the state to stay close to; ``h`` is not used."""
        self.last_down.copy_(self.down.weight)
        self.last_up.copy_(self.up.weight)
        self.anchored = True


class ProximalLayerKernel(ProximalKernel):
    """The same of a layer with one input (rows, columns), by that input: LoRA as published."""

    uses_inputs: ClassVar[bool] = True

    def __init__(self, columns: int, width: int, config: ProximalConfig) -> None:
        super().__init__(columns, width, config)
        self.inputs = columns


class Pull(Schedule):
    """Every epoch is trained by the labels and by the pull."""

    def __init__(self, strength: float) -> None:
        self.beta = strength

    def start(self, epoch: int) -> Phase:
        """See ``Schedule.start``."""
        return Phase(beta=self.beta or 0.0)


class Proximal(Method[ProximalConfig, ProximalKernel]):
    """Low-rank updates that stay close to their last state."""

    config, kernel = ProximalConfig, ProximalKernel

    def make(self, config: ProximalConfig, site: Site) -> ProximalKernel:
        """See ``Method.make``."""
        if site.inputs is None:
            return ProximalKernel(site.width, site.width, config)
        return ProximalLayerKernel(site.inputs, site.width, config)

    def schedule(self, kernels: Sequence[ProximalKernel]) -> Schedule:
        """See ``Method.schedule``."""
        return Pull(kernels[0].config.strength)


def divergence(now: Tensor, last: Tensor) -> Tensor:
    """KL(softmax(now) ‖ softmax(last)) over all entries of a matrix, in nats."""
    log_now, log_last = (functional.log_softmax(each.flatten(), dim=0) for each in (now, last))
    return (log_now.exp() * (log_now - log_last)).sum()


register(Proximal())
