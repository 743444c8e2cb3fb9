"""The information-aware adaptive kernel: compress the frozen representation, match the domain.

Source: Jiang et al., "Pre-train and Fine-tune: Recommenders as Large Models", WWW 2025 companion,
arXiv 2501.14268: an encoder compresses the general knowledge G, a decoder matches the domain's
knowledge T, with a Gaussian approximation. The published text fixes the objectives, not sizes or
code, so these are our choices:

- q(z|h) = N(μ(h), σ²(h)) with σ = softplus(ρ(h) − 5): the kernel starts almost noiseless.
- The domain's prior r_d(z) = N(m_d, s_d²) is learned. Its optimum is the domain's aggregate
  posterior, so that KL(q ‖ r_d) is the tightest bound on I(z;h) in the family.
- Ḡ = U z (what is kept of G) and Ĝ = Ḡ + f(z) (what f adds from the domain's data).
- f starts at zero, so that compression can be trained before it (``compress_epochs``).
- Ids that the base has never seen may get embeddings of their own, added in the encoder.
- At evaluation z = μ.
"""

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from driftune.models.adapters.devices import moved, raised
from driftune.models.adapters.draws import BatchDraws
from driftune.models.adapters.methods.iak.config import IAKConfig
from driftune.models.adapters.methods.kernel import Adapted, NotFiniteError, PackedKernel
from driftune.models.adapters.methods.products import add_product_, affine, product

SIGMA_SHIFT = 5.0
SIGMA_FLOOR = 1e-6
UNIT_RHO = math.log(math.expm1(1.0))  # softplus(UNIT_RHO) = 1
SCALE_FLOOR = 0.05


def gaussian_kl(mean: Tensor, sigma: Tensor, prior_mean: Tensor, prior_sigma: Tensor) -> Tensor:
    """KL(N(mean, sigma²) ‖ N(prior_mean, prior_sigma²)) of each element, in nats."""
    ratio = (sigma / prior_sigma).square()
    distance = ((mean - prior_mean) / prior_sigma).square()
    return 0.5 * (ratio + distance - 1.0 - ratio.log())


class IAKKernel(PackedKernel):
    """One domain's kernel over representations of ``width`` columns.

    Inputs are standardised by ``center`` and ``scale``, fixed buffers that ``fit_scale`` sets and
    that are part of the state (``fitted`` says whether it has); Ĝ is formed in those units and
    scaled back, so that one learning rate fits embeddings and numbers alike.
    """

    has_prior: ClassVar[bool] = True
    center: Tensor
    scale: Tensor
    fitted: Tensor
    config: IAKConfig

    def __init__(self, width: int, config: IAKConfig) -> None:
        """Make a kernel; weights are drawn from torch's global generator.

        Raises:
            ValueError: when ``width`` is not a whole number of at least 1.
        """
        super().__init__()
        if type(width) is not int or width < 1:
            raise ValueError(f"width is {width!r}; it must be a whole number, 1 or more")
        self.width, self.config = width, config
        bottleneck, hidden = config.bottleneck, config.hidden
        self.encoder = nn.Linear(width, hidden)
        self.mean = nn.Linear(hidden, bottleneck)
        self.rho = nn.Linear(hidden, bottleneck)
        self.general = nn.Linear(bottleneck, width, bias=False)
        self.learner = nn.Linear(bottleneck, hidden)
        self.matched = nn.Linear(hidden, width)
        self.prior_mean = nn.Parameter(torch.zeros(bottleneck))
        self.prior_rho = nn.Parameter(torch.full((bottleneck,), UNIT_RHO))
        self.register_buffer("center", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.register_buffer("fitted", torch.zeros((), dtype=torch.bool))
        if config.fresh_rows:
            self.fresh = nn.Embedding(config.fresh_rows, config.fresh_width)
            self.fresh_in = nn.Linear(config.fresh_width, hidden, bias=False)
            nn.init.zeros_(self.fresh.weight)
        nn.init.zeros_(self.matched.weight)
        nn.init.zeros_(self.matched.bias)
        if config.combine == "residual":
            nn.init.zeros_(self.general.weight)

    @property
    def needs_scale(self) -> bool:
        """See ``Kernel.needs_scale``."""
        return not bool(self.fitted)

    @torch.no_grad()
    def fit_scale(self, h: Tensor) -> None:
        """Set the standardisation from representations (rows, width).

        No column's scale is below 5 % of the columns' root mean square, so that a column that
        hardly varied in these rows is not blown up when it varies later.

        Raises:
            NotFiniteError: when a value, or what comes of the values, is not finite.
            ValueError: when there are no rows or the width differs.
        """
        self._check(h)
        h = raised(h)
        if len(h) == 0:
            raise ValueError("no rows to fit the scale on")
        spread = h.std(dim=0, correction=0)
        usual = spread.square().mean().sqrt()
        center = h.mean(dim=0)
        # Of values near the end of the range the mean or the square is infinite.
        if not bool((center + spread + usual).isfinite().all()):
            raise NotFiniteError("representations to fit the scale on hold NaN or infinity")
        self.center.copy_(center)
        some = usual > 0
        self.scale.copy_(spread.clamp_min(SCALE_FLOOR * usual) if some else torch.ones_like(spread))
        self.fitted.fill_(True)

    @torch.no_grad()
    def take_scale(self, other: Self) -> None:
        """Take over the standardisation of another kernel of this place."""
        self.center.copy_(other.center)
        self.scale.copy_(other.scale)
        self.fitted.fill_(True)

    @torch.no_grad()
    def fit_prior(self, h: Tensor, fresh: Tensor | None = None) -> None:
        """Set the prior to the aggregate posterior of representations (rows, width).

        Its moments: the mean of μ, and the variance of μ plus the mean of σ².
        """
        self._check(h)
        _, mean, sigma = self._posterior(h, fresh)
        spread = (mean.var(dim=0, correction=0) + sigma.square().mean(dim=0)).sqrt()
        self.prior_mean.copy_(mean.mean(dim=0))
        # The inverse of softplus, in a form that large values do not overflow.
        spread = spread.clamp_min(1e-4)
        self.prior_rho.copy_(spread + torch.log(-torch.expm1(-spread)))

    def forward(
        self, h: Tensor, generator: Generator | None = None, fresh: Tensor | None = None
    ) -> Adapted:
        """Adapt representations (rows, width).

        In train mode z is sampled, from ``generator`` (torch's global one by default); in
        evaluation z = μ.

        Raises:
            ValueError: when ``h`` is not (rows, width).
        """
        self._check(h)
        tensors, mean, sigma = self._posterior(h, fresh)
        prior_sigma = functional.softplus(self.prior_rho) + SIGMA_FLOOR
        kl = gaussian_kl(mean, sigma, self.prior_mean, prior_sigma)
        z = mean + sigma * _noise(mean, generator) if self.training else mean
        return Adapted(decode(tensors, h, z, self.config.combine), kl, mean, sigma)

    def adapt(
        self,
        output: Tensor,
        inputs: tuple[Tensor, ...],
        generator: Generator | None = None,
        fresh: Tensor | None = None,
    ) -> Adapted:
        """See ``Kernel.adapt``; ``inputs`` is not used."""
        adapted: Adapted = self(output, generator, fresh)
        return adapted

    def serve(
        self, output: Tensor, inputs: tuple[Tensor, ...], fresh: Tensor | None = None
    ) -> Tensor:
        """See ``Kernel.serve``: z = μ, no KL."""
        tensors = self.tensors()
        _, mean = encode(tensors, output, fresh)
        return decode(tensors, output, mean, self.config.combine)

    def packed(self) -> list[Tensor] | None:
        """See ``PackedKernel.packed``; ``scale`` and ``center`` are part of the outer layers.

        Kernels with a table of fresh ids have none: rows look up as many as they have.
        """
        if self.config.fresh_rows:
            return None
        tensors = self.tensors()
        weight, bias = standardised(tensors)
        out = restored(tensors)
        if self.config.combine != "residual":
            out[-1] += tensors["center"]
        inner = [
            each
            for name in ("mean", "learner")
            for each in (tensors[f"{name}.weight"].t(), tensors[f"{name}.bias"].unsqueeze(0))
        ]
        return [weight.t(), bias.unsqueeze(0), *inner, out]

    def serve_packed(self, weights: Sequence[Tensor], h: Tensor) -> Tensor:
        """See ``PackedKernel.serve_packed``."""
        encoder, encoder_bias, mean, mean_bias, learner, learner_bias, out = weights
        z = affine(affine(h, encoder, encoder_bias).relu_(), mean, mean_bias)
        learned = affine(z, learner, learner_bias).relu_()
        parts = torch.cat([z, learned, torch.ones_like(z[..., :1])], dim=-1)
        if self.config.combine == "residual":
            return add_product_(h, parts, out)
        return product(parts, out)

    def warm_up(self, h: Tensor, adapted: Adapted) -> Tensor:
        """See ``Kernel.warm_up``: mean squared error of ĥ against h in standardised units."""
        return ((raised(adapted.h) - h) / self.scale).square().mean()

    def matching(self) -> list[nn.Parameter]:
        """The parameters of the learner f, which the matching phase trains alone."""
        return [*self.learner.parameters(), *self.matched.parameters()]

    def tensors(self) -> dict[str, Tensor]:
        """Parameters and buffers by their names in the state."""
        return {**dict(self.named_parameters()), **dict(self.named_buffers())}

    def _posterior(
        self, h: Tensor, fresh: Tensor | None
    ) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """The kernel's tensors, μ(h) and σ(h)."""
        tensors = self.tensors()
        hidden, mean = encode(tensors, h, fresh)
        rho = raised(self.rho(hidden))
        return tensors, raised(mean), functional.softplus(rho - SIGMA_SHIFT) + SIGMA_FLOOR

    def _check(self, h: Tensor) -> None:
        if h.ndim != 2 or h.shape[1] != self.width:
            raise ValueError(f"h is {tuple(h.shape)}; the kernel takes (rows, {self.width})")


def standardised(tensors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Weight and bias of the encoder for h as it comes.

    Standardised by way of the weights: one pass over h, which is much wider than they are.
    """
    weight = tensors["encoder.weight"] / tensors["scale"]
    return weight, torch.addmv(tensors["encoder.bias"], weight, tensors["center"], alpha=-1)


def restored(tensors: Mapping[str, Tensor]) -> Tensor:
    """The weights that make U z + f(z), in the units of h, of (z, learned, 1).

    (bottleneck + hidden + 1, width).
    """
    weight = torch.cat([tensors["general.weight"].t(), tensors["matched.weight"].t()])
    return torch.cat([weight, tensors["matched.bias"].unsqueeze(0)]) * tensors["scale"]


def encode(
    tensors: Mapping[str, Tensor], h: Tensor, fresh: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Hidden layer (rows, hidden) and μ(h) (rows, bottleneck) of the encoder, from h."""
    x = functional.linear(h, *standardised(tensors))
    if fresh is not None and "fresh.weight" in tensors:
        table = tensors["fresh.weight"]
        own = functional.embedding(fresh.remainder(len(table)), table)
        own = (own * (fresh >= 0).unsqueeze(2)).sum(dim=1)
        x = x + functional.linear(own, tensors["fresh_in.weight"])
    x = torch.relu(x)
    return x, functional.linear(x, tensors["mean.weight"], tensors["mean.bias"])


def decode(tensors: Mapping[str, Tensor], h: Tensor, z: Tensor, combine: str) -> Tensor:
    """Ĝ = U z + f(z) in the units of h, combined with h (rows, width)."""
    learned = torch.relu(functional.linear(z, tensors["learner.weight"], tensors["learner.bias"]))
    weight = restored(tensors)
    parts = torch.cat([z, learned, torch.ones_like(z[:, :1])], dim=1)
    # One product onto what it is added to: ĥ is wide, and is passed over once.
    start = h if combine == "residual" else tensors["center"]
    return torch.addmm(start, parts, weight)


def reconstruction_loss(kernel: IAKKernel, h: Tensor, generator: Generator | None = None) -> Tensor:
    """Mean squared error of ĥ against h (rows, width) in standardised units, a scalar.

    Minimised with β = 0 it warms up a ``replace`` kernel.
    """
    return kernel.warm_up(h, kernel(h, generator))


def _noise(like: Tensor, generator: Generator | None) -> Tensor:
    """Standard normal draws on the generator's device, so that a CPU seed serves a GPU kernel."""
    if isinstance(generator, BatchDraws):
        return moved(generator.normal(like.shape, like.dtype), like.device)
    device = like.device if generator is None else generator.device
    drawn = torch.randn(like.shape, generator=generator, dtype=like.dtype, device=device)
    return moved(drawn, like.device)
