"""AdamW of many small adapters: each has its own moments, all share a call."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim.adamw import adamw

from driftune.models.adapters.adapter import Adapter
from driftune.models.adapters.devices import HOST

# As PyTorch has them.
BETAS, EPSILON = (0.9, 0.999), 1e-8
MOMENTS = ("exp_avg", "exp_avg_sq")


class AdamW:
    """An adapter's parameters with their moments (Loshchilov and Hutter, arXiv 1711.05101).

    It decays matrices only: decayed biases and priors would pull towards a scale. ``taken``: the
    steps of each parameter, as its moments have them, without a look at the device.
    """

    def __init__(self, adapter: Adapter, learning_rate: float, weight_decay: float) -> None:
        self.learning_rate = learning_rate
        self.parameters = [*adapter.parameters()]
        self.decays = [weight_decay if each.ndim > 1 else 0.0 for each in self.parameters]
        self.moments = [_moments(each) for each in self.parameters]
        self.taken = [0] * len(self.parameters)

    def forget(self) -> None:
        """Drop the gradients that were summed so far."""
        for parameter in self.parameters:
            parameter.grad = None

    def restore(self, moments: Sequence[dict[str, Tensor]]) -> None:
        """Go on with these moments, those of each parameter; none: it was never moved."""
        for number, held in enumerate(moments):
            for name, value in held.items():
                self.moments[number][name].copy_(value)
            self.taken[number] = int(held["step"]) if held else 0


def fuses(device: torch.device) -> bool:
    """Whether PyTorch has one kernel for the whole step on the device."""
    return device.type in ("cpu", "cuda")


def _moments(parameter: Parameter) -> dict[str, Tensor]:
    zeros = {name: torch.zeros_like(parameter) for name in MOMENTS}
    # Where the step is not fused, its number is read on the host.
    counted_on = parameter.device if fuses(parameter.device) else HOST
    return {**zeros, "step": torch.zeros((), dtype=torch.float32, device=counted_on)}


class _Moved(NamedTuple):
    parameter: Parameter
    gradient: Tensor
    moments: dict[str, Tensor]


@torch.no_grad()
def optimise(optimisers: Sequence[AdamW]) -> None:
    """A step of each by its parameters' gradients, which are dropped then.

    All that share learning rate and decay take one call: for many small tensors it is five times
    faster than one each, with the same result.
    """
    parts: dict[tuple[float, float], list[_Moved]] = {}
    for each in optimisers:
        rate = each.learning_rate
        for number, (parameter, decay, moments) in enumerate(
            zip(each.parameters, each.decays, each.moments, strict=True)
        ):
            if parameter.grad is not None:
                each.taken[number] += 1
                moved = _Moved(parameter, parameter.grad, moments)
                parts.setdefault((rate, decay), []).append(moved)
                parameter.grad = None
    for (rate, decay), part in parts.items():
        adamw_step(
            [each.parameter for each in part],
            [each.gradient for each in part],
            [each.moments["exp_avg"] for each in part],
            [each.moments["exp_avg_sq"] for each in part],
            [each.moments["step"] for each in part],
            rate,
            decay,
        )


def adamw_step(
    parameters: list[Tensor],
    gradients: list[Tensor],
    means: list[Tensor],
    squares: list[Tensor],
    steps: list[Tensor],
    rate: float,
    decay: float,
) -> None:
    """A step of parameters of one learning rate and decay, with their moments."""
    adamw(
        parameters,
        gradients,
        means,
        squares,
        [],
        steps,
        fused=fuses(parameters[0].device),
        amsgrad=False,
        beta1=BETAS[0],
        beta2=BETAS[1],
        lr=rate,
        weight_decay=decay,
        eps=EPSILON,
        maximize=False,
    )
