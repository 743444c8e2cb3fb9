"""The kernel: start, sampling, KL, standardisation."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Normal, kl_divergence

from driftune.models.adapters import (
    IAKConfig,
    IAKKernel,
    NotFiniteError,
    gaussian_kl,
    reconstruction_loss,
)

numbers = st.floats(-5, 5)
sigmas = st.floats(1e-3, 10)


@pytest.mark.parametrize("training", [False, True])
def test_residual_kernel_starts_as_the_base_exactly(training: bool) -> None:
    h = torch.randn(64, 12) * 3 + 1
    kernel = IAKKernel(12, IAKConfig()).train(training)
    kernel.fit_scale(h)
    assert torch.equal(kernel(h).h, h)


def test_replace_kernel_gives_nothing_of_h_past_the_bottleneck() -> None:
    kernel = IAKKernel(12, IAKConfig(combine="replace")).eval()
    with torch.no_grad():
        kernel.mean.weight.zero_()
    h = torch.randn(9, 12)
    adapted = kernel(h).h
    assert torch.equal(adapted, adapted[:1].expand(9, 12))


@given(numbers, sigmas, numbers, sigmas)
def test_kl_is_that_of_torch_distributions(
    mean: float, sigma: float, prior_mean: float, prior_sigma: float
) -> None:
    values = torch.tensor([mean, sigma, prior_mean, prior_sigma], dtype=torch.float64)
    expected = kl_divergence(Normal(values[0], values[1]), Normal(values[2], values[3]))
    torch.testing.assert_close(gaussian_kl(*values), expected, rtol=1e-9, atol=1e-9)


def test_forward_reports_kl_to_the_learned_prior(make_kernel: Callable[..., IAKKernel]) -> None:
    kernel, h = make_kernel(seed=3), torch.randn(7, 12)
    hidden = torch.relu(kernel.encoder((h - kernel.center) / kernel.scale))
    sigma = torch.nn.functional.softplus(kernel.rho(hidden) - 5) + 1e-6
    prior = Normal(kernel.prior_mean, torch.nn.functional.softplus(kernel.prior_rho))
    expected = kl_divergence(Normal(kernel.mean(hidden), sigma), prior)
    adapted = kernel(h)
    assert adapted.kl.shape == (7, 4)
    torch.testing.assert_close(adapted.kl, expected, rtol=1e-4, atol=1e-4)


def test_prior_starts_as_standard_normal() -> None:
    kernel = IAKKernel(5, IAKConfig())
    torch.testing.assert_close(torch.nn.functional.softplus(kernel.prior_rho), torch.ones(16))
    assert torch.equal(kernel.prior_mean, torch.zeros(16))


def test_training_samples_from_the_generator(make_kernel: Callable[..., IAKKernel]) -> None:
    kernel, h = make_kernel().train(), torch.randn(20, 12)
    first = kernel(h, torch.Generator().manual_seed(1)).h
    torch.rand(5)
    again = kernel(h, torch.Generator().manual_seed(1)).h
    other = kernel(h, torch.Generator().manual_seed(2)).h
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_samples_spread_around_the_mean_by_sigma(make_kernel: Callable[..., IAKKernel]) -> None:
    kernel = make_kernel(combine="replace", bottleneck=1, width=1)
    with torch.no_grad():
        for tensor in (kernel.matched.weight, kernel.matched.bias, kernel.rho.weight):
            tensor.zero_()
        kernel.general.weight.fill_(1)
        kernel.rho.bias.fill_(5 + 0.5413)
        kernel.center.zero_()
        kernel.scale.fill_(1)
    h = torch.ones(20000, 1)
    mean = kernel(h).h[0]
    drawn = kernel.train()(h, torch.Generator().manual_seed(0)).h
    torch.testing.assert_close(drawn.mean(dim=0), mean, atol=0.03, rtol=0)
    torch.testing.assert_close(drawn.std(dim=0), torch.ones(1), atol=0.03, rtol=0)


def test_evaluation_ignores_the_generator(make_kernel: Callable[..., IAKKernel]) -> None:
    kernel, h = make_kernel(), torch.randn(20, 12)
    generator = torch.Generator().manual_seed(1)
    before = generator.get_state()
    assert torch.equal(kernel(h, generator).h, kernel(h).h)
    assert torch.equal(generator.get_state(), before)


def test_fitted_scale_makes_the_kernel_blind_to_units() -> None:
    h = torch.randn(500, 6)
    units = torch.tensor([1.0, 4.0, 0.5, 2.0, 1.0, 0.25])
    torch.manual_seed(1)
    plain = IAKKernel(6, IAKConfig(combine="replace")).eval()
    rescaled = IAKKernel(6, IAKConfig(combine="replace")).eval()
    rescaled.load_state_dict(plain.state_dict())
    plain.fit_scale(h)
    rescaled.fit_scale(h * units + 10)
    expected = plain(h).h * units + 10
    torch.testing.assert_close(rescaled(h * units + 10).h, expected, rtol=1e-3, atol=1e-3)


def test_column_that_hardly_varied_is_not_blown_up() -> None:
    h = torch.randn(100, 4)
    h[:, 2] = 7.0
    kernel = IAKKernel(4, IAKConfig())
    kernel.fit_scale(h)
    assert 0.02 < float(kernel.scale[2]) < 0.1
    kernel.fit_scale(torch.full((5, 4), 3.0))
    assert torch.equal(kernel.scale, torch.ones(4))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2.4e38])
def test_a_scale_is_not_fitted_on_what_is_no_number_or_overflows(value: float) -> None:
    h = torch.randn(100, 4)
    h[:50, 1] = value
    kernel = IAKKernel(4, IAKConfig())
    with pytest.raises(NotFiniteError, match="NaN or infinity"):
        kernel.fit_scale(h)
    assert kernel.needs_scale


def test_scale_is_part_of_the_state(make_kernel: Callable[..., IAKKernel]) -> None:
    fitted = make_kernel(seed=5)
    fitted.fit_scale(torch.randn(50, 12) * 9)
    copy = make_kernel(seed=6)
    copy.load_state_dict(fitted.state_dict())
    h = torch.randn(4, 12)
    assert torch.equal(copy(h).h, fitted(h).h)


@pytest.mark.parametrize(
    ("h", "reason"),
    [
        (torch.empty(0, 12), "no rows"),
        (torch.full((3, 12), float("nan")), "NaN"),
        (torch.ones(3, 11), r"\(3, 11\)"),
    ],
)
def test_scale_of_unfit_rows_is_refused(h: torch.Tensor, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        IAKKernel(12, IAKConfig()).fit_scale(h)


@pytest.mark.parametrize("shape", [(12,), (3, 11), (2, 3, 12)])
def test_wrong_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="the kernel takes"):
        IAKKernel(12, IAKConfig())(torch.zeros(shape))


@pytest.mark.parametrize("width", [0, -3, 2.0, True])
def test_wrong_width_is_refused(width: object) -> None:
    with pytest.raises(ValueError, match="width"):
        IAKKernel(width, IAKConfig())


def test_no_rows_give_no_rows(make_kernel: Callable[..., IAKKernel]) -> None:
    adapted = make_kernel()(torch.empty(0, 12))
    assert adapted.h.shape == (0, 12)
    assert adapted.kl.shape == (0, 4)


@pytest.mark.slow
@pytest.mark.ci
def test_minimising_reconstruction_brings_replace_near_the_base() -> None:
    h = torch.randn(400, 4) @ torch.randn(4, 12)
    kernel = IAKKernel(12, IAKConfig(bottleneck=6, hidden=32, combine="replace"))
    kernel.fit_scale(h)
    generator = torch.Generator().manual_seed(0)
    optimiser = torch.optim.Adam(kernel.parameters(), lr=5e-3)
    start = float(reconstruction_loss(kernel, h, generator).detach())
    for _ in range(300):
        optimiser.zero_grad()
        loss = reconstruction_loss(kernel, h, generator)
        loss.backward()
        optimiser.step()
    assert start > 0.5
    assert float(reconstruction_loss(kernel.eval(), h).detach()) < 0.05
