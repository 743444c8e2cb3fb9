"""HAMUR: adapter cells whose weights a hyper-network makes, one hyper-network for all domains.

Source: Li et al., "HAMUR: Hyper Adapter for Multi-Domain Recommendation", CIKM 2023, arXiv
2309.06217. For a row with the representation h at the cell's place:

    M = hyper(h)                                  (rank, rank), another matrix for each row
    W1 = U1 M V1,  W2 = U2 M V2                   the row's weights, of low rank
    ĥ = h + norm_d(W2 · sigmoid(W1 · h + b_d))    norm_d: the domain's batch norm

The hyper-network, U and V are shared by all domains; the bias b_d and the norm are the domain's
own. What differs from the paper, since the backbone is pre-trained and frozen here: the
hyper-network looks at what its cell's place gives (the paper's looks at the embeddings, which is
the same at the input), each place has one, and the norms' gains start at zero, so that the first
answers are those of the frozen model. A bias before a norm does nothing and is left out.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from driftune.models.adapters import Adapted, Kernel, KernelConfig, Method, Site, register


@dataclass(frozen=True)
class HamurConfig(KernelConfig):
    """Settings of the cells of so many ``domains`` at one place.

    ``rank``: rows and columns of M; ``bottleneck``: width of a cell's inner layer; ``hidden``:
    width of the hyper-network's hidden layer.
    """

    kind: ClassVar[str] = "hamur"

    domains: int = 1
    rank: int = 6
    bottleneck: int = 12
    hidden: int = 32

    def __post_init__(self) -> None:
        for name in ("domains", "rank", "bottleneck", "hidden"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be 1 or more")


class Normed(nn.Module):
    """Batch norm that takes the running figures where a batch has one row or none."""

    def __init__(self, width: int, gain: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width)
        nn.init.constant_(self.norm.weight, gain)

    def forward(self, values: Tensor) -> Tensor:
        """The values (rows, width), normalised."""
        norm = self.norm
        return functional.batch_norm(
            values,
            norm.running_mean,
            norm.running_var,
            norm.weight,
            norm.bias,
            self.training and len(values) > 1,
            0.1 if norm.momentum is None else norm.momentum,
            norm.eps,
        )


class Cell(nn.Module):
    """What a domain has of its own: the inner layer's bias and the norm of what is added."""

    def __init__(self, width: int, bottleneck: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(bottleneck))
        self.norm = Normed(width, gain=0.0)


class HamurKernel(Kernel):
    """The cells of all domains at one place, with the hyper-network that they share.

    ``fresh`` holds each row's domain, its number among the ``domains``; the rows of no domain (−1)
    stay as they are.
    """

    config: HamurConfig

    def __init__(self, width: int, config: HamurConfig) -> None:
        super().__init__()
        self.width, self.config = width, config
        rank, inner = config.rank, config.bottleneck
        self.hyper = nn.Sequential(
            nn.Linear(width, config.hidden),
            Normed(config.hidden, gain=1.0),
            nn.ReLU(),
            nn.Linear(config.hidden, rank * rank),
            Normed(rank * rank, gain=1.0),
            nn.ReLU(),
        )
        self.down = nn.ParameterList([_drawn(width, rank), _drawn(rank, inner)])
        self.up = nn.ParameterList([_drawn(inner, rank), _drawn(rank, width)])
        self.cells = nn.ModuleList(Cell(width, inner) for _ in range(config.domains))

    @property
    def parameters_of_one(self) -> int:
        """Parameters that the rows of one domain pass: what is shared, and its own cell."""
        return count(self) - count(self.cells) + count(self.cells[0])

    def adapt(
        self,
        output: Tensor,
        inputs: tuple[Tensor, ...],
        generator: Generator | None = None,
        fresh: Tensor | None = None,
    ) -> Adapted:
        """See ``Kernel.adapt``; ``inputs`` is not used.

        Raises:
            ValueError: when the rows' domains are not given, or the width differs.
        """
        if fresh is None or fresh.shape != (len(output), 1):
            raise ValueError("HAMUR takes each row's domain as fresh (rows, 1)")
        if output.shape[1] != self.width:
            raise ValueError(f"h is {tuple(output.shape)}; the kernel takes (rows, {self.width})")
        rank = self.config.rank
        matrix = self.hyper(output).view(-1, rank, rank)
        inner = torch.einsum("bi,bij->bj", output @ self.down[0], matrix) @ self.down[1]
        changed = output
        for number, cell in enumerate(each for each in self.cells if isinstance(each, Cell)):
            rows = torch.nonzero(fresh[:, 0] == number)[:, 0]
            active = torch.sigmoid(inner[rows] + cell.bias)
            active = torch.einsum("bi,bij->bj", active @ self.up[0], matrix[rows]) @ self.up[1]
            changed = changed.index_add(0, rows, cell.norm(active))
        return Adapted(changed)


class Hamur(Method[HamurConfig, HamurKernel]):
    """Cells of all domains under one hyper-network; one adapter holds them all."""

    config, kernel = HamurConfig, HamurKernel

    def make(self, config: HamurConfig, site: Site) -> HamurKernel:
        """See ``Method.make``."""
        return HamurKernel(site.width, config)


def count(module: nn.Module) -> int:
    """Parameters of a module."""
    return sum(each.numel() for each in module.parameters())


def _drawn(rows: int, columns: int) -> nn.Parameter:
    """A matrix whose products keep the scale of what they are given."""
    return nn.Parameter(torch.randn(rows, columns) / math.sqrt(rows))


register(Hamur())
