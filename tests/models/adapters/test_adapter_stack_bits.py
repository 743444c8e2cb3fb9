"""A stack of kernels gives each domain what it gets alone, to the last bit."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from driftune.models.adapters import IAKConfig, IAKKernel
from driftune.models.adapters.folding import Through
from driftune.models.adapters.methods.iak.stack import IAKStack

pytestmark = pytest.mark.trains
DOMAINS = 5


def _gradients(
    kernels: list[IAKKernel],
    h: Tensor,
    noise: Tensor,
    weights: Tensor,
    penalised: bool,
    layer: nn.Linear | None = None,
) -> list[list[Tensor]]:
    """For each domain ĥ, or what a layer makes of it, and the gradients of a step's loss."""
    for kernel in kernels:
        kernel.zero_grad(set_to_none=True)
    through = layer and Through(layer(h).detach(), layer.weight.detach(), layer.bias.detach())
    found = IAKStack(kernels).adapt(h, noise, penalised, through)
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


def _kernels(width: int, combine: str, draws: torch.Generator) -> list[IAKKernel]:
    kernels = [IAKKernel(width, IAKConfig(12, 16, combine)) for _ in range(DOMAINS)]
    for kernel in kernels:
        kernel.fit_scale(torch.randn(300, width, generator=draws) * 2 + 1)
        for parameter in kernel.parameters():
            parameter.data.normal_(0, 0.2, generator=draws)
    return kernels


@pytest.mark.parametrize("penalised", [False, True])
@pytest.mark.parametrize("combine", ["residual", "replace"])
@pytest.mark.parametrize("width", [13, 32, 64, 128])
def test_a_domain_alone_and_among_others(width: int, combine: str, penalised: bool) -> None:
    draws = torch.Generator().manual_seed(width)
    kernels = _kernels(width, combine, draws)
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


@pytest.mark.parametrize("combine", ["residual", "replace"])
@pytest.mark.parametrize("out", [8, 16, 40, 64])
def test_a_folded_layer_alone_and_among_others(out: int, combine: str) -> None:
    draws = torch.Generator().manual_seed(out)
    kernels = _kernels(64, combine, draws)
    layer = nn.Linear(64, out)
    for rows in (64, 256):
        h = torch.randn(DOMAINS, rows, 64, generator=draws)
        noise = torch.randn(DOMAINS, rows, 12, generator=draws)
        weights = torch.randn(DOMAINS, rows, out, generator=draws)
        every = _gradients(kernels, h, noise, weights, True, layer)
        for start, stop in ((0, 1), (4, 5), (1, 3), (2, 5)):
            part = slice(start, stop)
            some = _gradients(kernels[part], h[part], noise[part], weights[part], True, layer)
            for own, wanted in zip(some, every[part], strict=True):
                assert len(own) == len(wanted)
                assert all(map(torch.equal, own, wanted))


@pytest.mark.parametrize("combine", ["residual", "replace"])
@pytest.mark.parametrize("bias", [True, False])
def test_a_folded_layer_gives_what_the_layer_gives(bias: bool, combine: str) -> None:
    draws = torch.Generator().manual_seed(3)
    kernels = [kernel.double() for kernel in _kernels(16, combine, draws)]
    layer = nn.Linear(16, 5, bias=bias).double().requires_grad_(False)
    h = torch.randn(DOMAINS, 64, 16, generator=draws).double()
    noise = torch.randn(DOMAINS, 64, 12, generator=draws).double()
    weights = torch.randn(DOMAINS, 64, 5, generator=draws).double()
    found = []
    for through in (None, Through(layer(h), layer.weight, layer.bias)):
        adapted = IAKStack(kernels).adapt(h, noise, False, through).h
        given = (
            adapted if through is not None else functional.linear(adapted, layer.weight, layer.bias)
        )
        parameters = [each for kernel in kernels for each in kernel.parameters()]
        gradients = torch.autograd.grad((given * weights).sum(), parameters, allow_unused=True)
        found.append([given.detach(), *(each for each in gradients if each is not None)])
    plain, folded = found
    assert len(plain) == len(folded) > DOMAINS
    for one, other in zip(plain, folded, strict=True):
        torch.testing.assert_close(one, other)
