"""Many domains' IAK kernels of one place and shape, computed as one batch of matrix products.

Each product is one domain's own, so that what a domain gets does not depend on those beside it.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from driftune.models.adapters.devices import raised
from driftune.models.adapters.folding import Through
from driftune.models.adapters.methods.iak.kernel import (
    SIGMA_FLOOR,
    SIGMA_SHIFT,
    IAKKernel,
    gaussian_kl,
)
from driftune.models.adapters.methods.stack import KernelStack, Stacked

# What a row of numbers is filled up to: vector instructions then compute all of them alike.
ALIGNED = 64


class IAKStack(KernelStack):
    """IAK kernels that differ in their weights alone; computes as ``kernel.encode`` and ``decode``.

    A change of the formulas there is one here.
    """

    def __init__(
        self, kernels: Sequence[IAKKernel], values: Mapping[str, Tensor] | None = None
    ) -> None:
        self._combine = kernels[0].config.combine
        self.bottleneck = kernels[0].config.bottleneck
        every = [kernel.tensors() for kernel in kernels]
        self._values = values or {
            name: torch.stack([each[name] for each in every]) for name in every[0]
        }
        self._center = torch.stack([each["center"] for each in every])
        self._scale = torch.stack([each["scale"] for each in every])

    def adapt(
        self, h: Tensor, noise: Tensor | None, penalised: bool, through: Through | None = None
    ) -> Stacked:
        """See ``KernelStack.adapt``."""
        scale = self._scale.unsqueeze(1)
        weight = self._of("encoder.weight") / scale
        # No matrix times vector: of one domain it is summed in another order than of several.
        bias = self._of("encoder.bias") - (weight * self._center.unsqueeze(1)).sum(dim=2)
        hidden = torch.relu(torch.baddbmm(bias.unsqueeze(1), h, weight.transpose(1, 2)))
        mean = z = raised(self._linear("mean", hidden))
        kl = None
        if noise is not None:
            rho = raised(self._linear("rho", hidden))
            sigma = functional.softplus(rho - SIGMA_SHIFT) + SIGMA_FLOOR
            z = mean + sigma * noise
            kl = self._kl(mean, sigma) if penalised else None
        learned = torch.relu(self._linear("learner", z))
        parts = torch.cat([z, learned, torch.ones_like(z[..., :1])], dim=2)
        weight = torch.cat(
            [
                self._of("general.weight").transpose(1, 2),
                self._of("matched.weight").transpose(1, 2),
                self._of("matched.bias").unsqueeze(1),
            ],
            dim=1,
        )
        weight = weight * scale
        if through is None:
            start = h if self._combine == "residual" else self._center.unsqueeze(1)
            return Stacked(torch.baddbmm(start, parts, weight), kl)
        if self._combine == "residual":
            start = through.plain
        else:
            # Ĝ's last row is that of the ones, which the center joins.
            weight = torch.cat([weight[:, :-1], weight[:, -1:] + self._center.unsqueeze(1)], dim=1)
            start = h.new_zeros(()) if through.bias is None else through.bias
        weight = torch.bmm(weight, through.weight.t().expand(len(h), -1, -1))
        return Stacked(torch.baddbmm(start, parts, weight), kl)

    def warm_up(self, h: Tensor, adapted: Tensor) -> Tensor:
        """See ``KernelStack.warm_up``: the squared error of ĥ in standardised units."""
        return ((raised(adapted) - h) / self._scale.unsqueeze(1)).square().mean(dim=2)

    def _kl(self, mean: Tensor, sigma: Tensor) -> Tensor:
        # The last bits of softplus depend on where among others a number is computed.
        rho = self._of("prior_rho")
        spread = functional.softplus(functional.pad(rho, (0, -self.bottleneck % ALIGNED)))
        prior_sigma = spread[:, : self.bottleneck].unsqueeze(1) + SIGMA_FLOOR
        prior_mean = self._of("prior_mean").unsqueeze(1)
        return gaussian_kl(mean, sigma, prior_mean, prior_sigma).sum(dim=2)

    def _linear(self, name: str, x: Tensor) -> Tensor:
        bias = self._of(f"{name}.bias").unsqueeze(1)
        return torch.baddbmm(bias, x, self._of(f"{name}.weight").transpose(1, 2))

    def _of(self, name: str) -> Tensor:
        return self._values[name]
