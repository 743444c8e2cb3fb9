"""A stack of kernels gives each domain what it gets alone, to the last bit."""

import pytest
import torch
from torch import Tensor

from driftune.models.adapters import IAKConfig, IAKKernel
from driftune.models.adapters.methods.iak.stack import IAKStack

pytestmark = pytest.mark.trains
DOMAINS = 5


def _gradients(
    kernels: list[IAKKernel], h: Tensor, noise: Tensor, weights: Tensor, penalised: bool
) -> list[list[Tensor]]:
    """For each domain ĥ, and the gradients of a step's loss that moves all of them."""
    for kernel in kernels:
        kernel.zero_grad(set_to_none=True)
    found = IAKStack(kernels).adapt(h, noise, penalised)
    total = (found.h * weights).sum()
    if found.kl is not None:
        total = total + 1e-3 * found.kl.sum()
    torch.autograd.backward(total)
    return [
        [
            own.detach(),
            *(each.grad.clone() for each in kernel.parameters() if each.grad is not None),
        ]
        for kernel, own in zip(kernels, found.h, strict=True)
    ]


@pytest.mark.parametrize("penalised", [False, True])
@pytest.mark.parametrize("combine", ["residual", "replace"])
@pytest.mark.parametrize("width", [13, 32, 64, 128])
def test_a_domain_alone_and_among_others(width: int, combine: str, penalised: bool) -> None:
    draws = torch.Generator().manual_seed(width)
    kernels = [IAKKernel(width, IAKConfig(12, 16, combine)) for _ in range(DOMAINS)]
    for kernel in kernels:
        kernel.fit_scale(torch.randn(300, width, generator=draws) * 2 + 1)
        for parameter in kernel.parameters():
            parameter.data.normal_(0, 0.2, generator=draws)
    for rows in (64, 256):
        h = torch.randn(DOMAINS, rows, width, generator=draws)
        noise = torch.randn(DOMAINS, rows, 12, generator=draws)
        weights = torch.randn(DOMAINS, rows, width, generator=draws)
        every = _gradients(kernels, h, noise, weights, penalised)
        for start, stop in ((0, 1), (4, 5), (1, 3), (2, 5)):
            part = slice(start, stop)
            some = _gradients(kernels[part], h[part], noise[part], weights[part], penalised)
            for own, wanted in zip(some, every[part], strict=True):
                assert len(own) == len(wanted)
                assert all(map(torch.equal, own, wanted))
