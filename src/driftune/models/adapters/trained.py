"""The parameters of learners that train together: a tensor of each, with a row for each learner.

A step stacks nothing then, and moves all learners by as few calls as one.
"""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from driftune.models.adapters.devices import HOST
from driftune.models.adapters.learners import Learner
from driftune.models.adapters.methods.registry import stack
from driftune.models.adapters.methods.stack import KernelStack
from driftune.models.adapters.optimiser import MOMENTS, adamw_step, fuses

# Rows are a multiple of so many numbers: no vector instruction then spans two learners', nor are
# the last numbers of one computed otherwise than those of others.
ALIGNED = 64


class Part(NamedTuple):
    """Some learners in a row: the parameters that a step differentiates by, kernels by place."""

    leaves: list[Tensor]
    kernels: dict[str, KernelStack]


def trains_with(learner: Learner) -> Hashable:
    """What learners whose parameters are ``Trained`` together have in common, but for a stack."""
    optimiser = learner.optimiser
    trained = tuple(each.requires_grad for each in optimiser.parameters)
    return optimiser.learning_rate, tuple(optimiser.decays), tuple(optimiser.taken), trained


class Trained:
    """Parameters and moments of learners of equal ``stacks_with`` and ``trains_with``.

    They are the learners' own again after ``give_back``.
    """

    def __init__(self, learners: Sequence[Learner]) -> None:
        self._learners = list(learners)
        first = self._first = learners[0].optimiser
        self._values, self._means, self._squares = (
            [_empty(each, len(learners)) for each in first.parameters] for _ in range(3)
        )
        device = first.parameters[0].device
        counted_on = device if fuses(device) else HOST
        self._steps = torch.zeros((len(first.parameters), len(learners)), device=counted_on)
        self._parts: dict[tuple[int, int], Part] = {}
        self.take(0, len(learners))

    def part(self, start: int, stop: int) -> Part:
        """The learners from ``start`` to ``stop``."""
        key = start, stop
        if key not in self._parts:
            self._parts[key] = self._part(start, stop)
        return self._parts[key]

    @torch.no_grad()
    def take(self, start: int, stop: int) -> None:
        """Take over the state of these learners."""
        for whole, each in self._tensors(start, stop):
            whole.copy_(torch.stack(each))

    @torch.no_grad()
    def give_back(self, start: int, stop: int) -> None:
        """Leave these learners with the state that their rows have."""
        for whole, each in self._tensors(start, stop):
            for own, row in zip(each, whole, strict=True):
                own.copy_(row)

    @torch.no_grad()
    def step(self, start: int, stop: int, gradients: Sequence[Tensor | None]) -> None:
        """A step of AdamW of these learners by the gradients of the part's ``leaves``."""
        trained = [n for n, each in enumerate(self._first.parameters) if each.requires_grad]
        moved = [(n, own) for n, own in zip(trained, gradients, strict=True) if own is not None]
        for decay in sorted({self._first.decays[n] for n, _ in moved}):
            some = [(n, own) for n, own in moved if self._first.decays[n] == decay]
            adamw_step(
                [self._values[n][start:stop] for n, _ in some],
                [self._aligned(own, n) for n, own in some],
                [self._means[n][start:stop] for n, _ in some],
                [self._squares[n][start:stop] for n, _ in some],
                [self._steps[n, start] for n, _ in some],
                self._first.learning_rate,
                decay,
            )
        # All of a part have taken equally many steps.
        self._steps[:, start + 1 : stop] = self._steps[:, start : start + 1]
        for learner in self._learners[start:stop]:
            for n, _ in moved:
                learner.optimiser.taken[n] += 1

    def _aligned(self, gradient: Tensor, number: int) -> Tensor:
        own = gradient.reshape(len(gradient), -1)
        more = self._values[number].shape[1] - own.shape[1]
        return torch.nn.functional.pad(own, (0, more)) if more else own.contiguous()

    def _tensors(self, start: int, stop: int) -> list[tuple[Tensor, list[Tensor]]]:
        """Each tensor's rows from ``start`` to ``stop``, and what the learners have of it."""
        found: list[tuple[Tensor, list[Tensor]]] = []
        optimisers = [each.optimiser for each in self._learners[start:stop]]
        for n, like in enumerate(self._first.parameters):
            values = [each.parameters[n].detach() for each in optimisers]
            moments = [each.moments[n] for each in optimisers]
            means, squares = ([each[name] for each in moments] for name in MOMENTS)
            found += [
                (_rows(self._values[n], like, start, stop), values),
                (_rows(self._means[n], like, start, stop), means),
                (_rows(self._squares[n], like, start, stop), squares),
                (self._steps[n, start:stop], [each["step"] for each in moments]),
            ]
        return found

    def _part(self, start: int, stop: int) -> Part:
        leaves = {
            id(each): _rows(self._values[n], each, start, stop).detach()
            for n, each in enumerate(self._first.parameters)
        }
        trained = [each for each in self._first.parameters if each.requires_grad]
        for each in trained:
            leaves[id(each)].requires_grad_(True)
        kernels = {}
        for place, first in self._learners[0].adapter.items():
            own = [learner.adapter.at(place) for learner in self._learners[start:stop]]
            values = {name: leaves[id(each)] for name, each in first.named_parameters()}
            kernels[place] = stack([each for each in own if each is not None], values)
        return Part([leaves[id(each)] for each in trained], kernels)


def _empty(parameter: Tensor, rows: int) -> Tensor:
    length = -(-parameter.numel() // ALIGNED) * ALIGNED
    return parameter.new_zeros((rows, length), requires_grad=False)


def _rows(whole: Tensor, like: Tensor, start: int, stop: int) -> Tensor:
    """Rows of a tensor of aligned rows, each in the shape of ``like``."""
    return whole[start:stop, : like.numel()].unflatten(1, like.shape)
