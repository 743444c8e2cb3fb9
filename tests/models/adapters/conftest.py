"""Small kernels, frozen heads and planted data for the adapters' tests."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from driftune.models.adapters import IAKConfig, IAKKernel, esmm_loss

WIDTH = 12


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def make_kernel() -> Callable[..., IAKKernel]:
    """A factory of kernels in evaluation mode whose every tensor is drawn from ``seed``."""

    def make(seed: int = 0, width: int = WIDTH, **settings: object) -> IAKKernel:
        config = IAKConfig(**{"bottleneck": 4, "hidden": 8, **settings})
        kernel = IAKKernel(width, config).eval()
        generator = torch.Generator().manual_seed(seed)
        state = kernel.state_dict()
        for tensor in state.values():
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.3)
        state["scale"].abs_().add_(0.5)
        return kernel

    return make


class Heads(nn.Module):
    """A model whose representation is its input: logits of pCTR and pCVR."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.representation = nn.Identity()
        self.click = nn.Sequential(nn.Linear(width, 16), nn.ReLU(), nn.Linear(16, 1))
        self.convert = nn.Sequential(nn.Linear(width, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (rows,) each from h (rows, width)."""
        hidden = self.representation(h)
        return self.click(hidden).squeeze(1), self.convert(hidden).squeeze(1)


@dataclass(frozen=True)
class Planted:
    """Heads trained on one taste, and rows (h, click, convert) of a domain with another."""

    heads: Heads
    train: tuple[Tensor, Tensor, Tensor]
    select: tuple[Tensor, Tensor, Tensor]
    test: tuple[Tensor, Tensor, Tensor]


def _rows(count: int, taste: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    h = torch.randn(count, WIDTH, generator=generator)
    h[:, : WIDTH // 2] *= 0.1
    score = (h / h.std(dim=0)) @ taste
    click = (torch.rand(count, generator=generator) < torch.sigmoid(score)).float()
    bought = torch.rand(count, generator=generator) < torch.sigmoid(score / 2)
    return h, click, click * bought


@pytest.fixture(scope="session")
def planted() -> Planted:
    """A domain whose taste differs from the base's in half of the columns."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    taste = torch.randn(WIDTH, generator=generator)
    moved = torch.where(torch.arange(WIDTH) % 2 == 0, -taste, taste)
    heads = Heads()
    optimiser = torch.optim.Adam(heads.parameters(), lr=1e-2)
    h, click, convert = _rows(4000, taste, generator)
    for _ in range(5):
        for batch in torch.randperm(len(h), generator=generator).split(200):
            loss = esmm_loss(*heads(h[batch]), click[batch], convert[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    heads.zero_grad(set_to_none=True)
    return Planted(heads, *(_rows(count, moved, generator) for count in (2000, 500, 4000)))
