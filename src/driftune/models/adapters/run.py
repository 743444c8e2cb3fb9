"""One training's steps and losses, over rows whose frozen part is kept."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from driftune.models.adapters.batching import interleave
from driftune.models.adapters.examples import CHUNK, Examples, Kept
from driftune.models.adapters.learners import Learner
from driftune.models.adapters.optimiser import optimise
from driftune.models.adapters.step import Span, Step
from driftune.models.adapters.upper import Upper


class Rows(NamedTuple):
    """Rows of examples, and what lies below the adapters for each of them."""

    examples: Examples
    kept: Kept


class Run:
    """Steps and losses of one training's learners, each with kernels of any methods.

    Those whose kernels stack are trained by ``stacks`` in the place of ``epoch`` and ``losses``.
    """

    def __init__(self, rows: Rows, select: Rows | None, upper: Upper) -> None:
        self.rows, self.select, self.upper = rows, select, upper

    def epoch(self, batches: dict[Learner, tuple[Tensor, ...]]) -> None:
        """One pass over the learners' batches of rows, several learners in each step."""
        counts = {number: len(own) for number, own in enumerate(batches.values())}
        learners, queues = [*batches], [iter(own) for own in batches.values()]
        for chosen in interleave(counts):
            self._step(
                {learners[n].slot: learners[n] for n in chosen}, [next(queues[n]) for n in chosen]
            )

    def loss(self, learner: Learner) -> float:
        """Mean loss of the learner's selection rows; infinite where it is not a number."""
        assert self.select is not None
        learner.adapter.eval()
        total = 0.0
        for part in torch.split(learner.select_rows, CHUNK):
            value, _ = self._forward({learner.slot: learner}, self.select, [part])
            total += float(value.double().sum())
        return finite_mean(total, len(learner.select_rows))

    @torch.no_grad()
    def kl_bits(self, learner: Learner) -> dict[str, list[float]]:
        """Mean KL of q(z|h) to the Gaussian of the aggregate posterior, per dimension, by place.

        With that prior, m = E μ and s² = Var μ + E σ², the mean KL is ½(log s² − E log σ²),
        whatever prior the kernel was trained with: bits of different β can be compared.
        """
        rows = self.select or self.rows
        own = learner.rows if self.select is None else learner.select_rows
        found: dict[str, list[tuple[Tensor, Tensor]]] = {}
        for part in torch.split(own, CHUNK):
            _, step = self._forward({learner.slot: learner}, rows, [part])
            for place, posterior in step.posteriors.items():
                found.setdefault(place, []).append(posterior)
        bits = {}
        for place, parts in found.items():
            mean, sigma = (torch.cat(each).double() for each in zip(*parts, strict=True))
            spread = mean.var(dim=0, correction=0) + sigma.square().mean(dim=0)
            bits[place] = (0.5 * (spread.log2() - sigma.square().log2().mean(dim=0))).tolist()
        return bits

    def _step(self, learners: dict[int, Learner], parts: list[Tensor]) -> None:
        values, step = self._forward(learners, self.rows, parts, train=True)
        total = values.new_zeros(())
        start = 0
        for (slot, learner), part in zip(learners.items(), parts, strict=True):
            if slot in step.warm_up:
                total = total + step.warm_up[slot]
            else:
                total = total + values[start : start + len(part)].mean()
                for kind, phase in learner.phases.items():
                    if phase.beta and (slot, kind) in step.penalty:
                        total = total + phase.beta * step.penalty[slot, kind]
            start += len(part)
        torch.autograd.backward(total)
        optimise([learner.optimiser for learner in learners.values()])

    def _forward(
        self,
        learners: dict[int, Learner],
        source: Rows,
        parts: list[Tensor],
        train: bool = False,
    ) -> tuple[Tensor, Step]:
        """Loss of each row, domain after domain, and the step with its other terms."""
        examples, kept = source
        rows = torch.cat(parts) if len(parts) > 1 else parts[0]
        spans, start = [], 0
        for slot, part in zip(learners, parts, strict=True):
            spans.append(Span(slot, start, start + len(part)))
            start += len(part)
        step = Step(
            {slot: learner.adapter for slot, learner in learners.items()},
            spans,
            {slot: learner.generator for slot, learner in learners.items()},
            None if examples.fresh is None else examples.fresh[rows],
            frozenset(slot for slot, learner in learners.items() if train and learner.warms),
        )
        labels = tuple(each[rows] for each in examples.labels)
        values = self.upper.losses(step.apply, kept.take(rows), labels, train=train)
        return values, step


def finite_mean(total: float, count: int) -> float:
    """The mean of a sum of losses; infinite where it is not a number."""
    mean = total / count
    return math.inf if math.isnan(mean) else mean
