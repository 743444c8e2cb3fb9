"""One training's steps and losses, over rows whose frozen part is kept."""

import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Generator, Tensor

from driftune.models.adapters.batching import interleave
from driftune.models.adapters.devices import Chunk, lacks_memory, needing
from driftune.models.adapters.draws import BatchDraws
from driftune.models.adapters.examples import CHUNK, Examples, Kept
from driftune.models.adapters.feeding import over_chunks
from driftune.models.adapters.learners import Learner
from driftune.models.adapters.optimiser import optimise
from driftune.models.adapters.step import Span, Step
from driftune.models.adapters.upper import Upper

Found = TypeVar("Found")


class Rows(NamedTuple):
    """Rows of examples, and what lies below the adapters for each of them."""

    examples: Examples
    kept: Kept


class Run:
    """Steps and losses of one training's learners, each with kernels of any methods.

    Those whose kernels stack are trained by ``stacks`` in the place of ``epoch`` and ``loss``, but
    where memory lacks.
    """

    def __init__(self, rows: Rows, select: Rows | None, upper: Upper) -> None:
        self.rows, self.select, self.upper = rows, select, upper
        self.step_rows = Chunk(sys.maxsize, "a training step")
        self.select_rows = Chunk(CHUNK, "the selection rows")

    def epoch(self, batches: dict[Learner, tuple[Tensor, ...]]) -> None:
        """One pass over the learners' batches of rows, several learners in each step."""
        counts = {number: len(own) for number, own in enumerate(batches.values())}
        learners, queues = [*batches], [iter(own) for own in batches.values()]
        for chosen in interleave(counts):
            self.step(
                {learners[n].slot: learners[n] for n in chosen}, [next(queues[n]) for n in chosen]
            )

    def loss(self, learner: Learner) -> float:
        """Mean loss of the learner's selection rows; infinite where it is not a number."""
        assert self.select is not None
        learner.adapter.eval()
        sums = self._over(learner, self.select, lambda value, _: value.cpu().double().sum())
        return finite_mean(map(float, sums), len(learner.select_rows))

    def _over(
        self, learner: Learner, source: Rows, look: Callable[[Tensor, Step], Found]
    ) -> list[Found]:
        """What is seen in the passes over the rows that the learner is judged by."""
        given = {learner.slot: learner.generator}

        def one(_: int, part: Tensor) -> Found:
            return look(*self._forward({learner.slot: learner}, source, [part], given))

        rows = learner.rows if self.select is None else learner.select_rows
        return over_chunks([rows], self.upper.device, self.select_rows, one)

    @torch.no_grad()
    def kl_bits(self, learner: Learner) -> dict[str, list[float]]:
        """Mean KL of q(z|h) to the Gaussian of the aggregate posterior, per dimension, by place.

        With that prior, m = E μ and s² = Var μ + E σ², the mean KL is ½(log s² − E log σ²),
        whatever prior the kernel was trained with: bits of different β can be compared.
        """
        rows = self.select or self.rows
        found: dict[str, list[tuple[Tensor, Tensor]]] = {}
        for posteriors in self._over(learner, rows, lambda _, step: step.posteriors):
            for place, posterior in posteriors.items():
                found.setdefault(place, []).append(posterior)
        bits = {}
        for place, parts in found.items():
            mean, sigma = (torch.cat(each).cpu().double() for each in zip(*parts, strict=True))
            spread = mean.var(dim=0, correction=0) + sigma.square().mean(dim=0)
            bits[place] = (0.5 * (spread.log2() - sigma.square().log2().mean(dim=0))).tolist()
        return bits

    def step(self, learners: dict[int, Learner], parts: list[Tensor]) -> None:
        """Train on a batch; where memory does not suffice, by the gradients of parts of it."""
        states = [learner.generator.get_state() for learner in learners.values()]
        rows = sum(map(len, parts))
        while True:
            try:
                self._gradients(learners, parts, -(-rows // self.step_rows.rows))
                break
            except RuntimeError as error:
                if not lacks_memory(error):
                    raise
            for learner, state in zip(learners.values(), states, strict=True):
                learner.begin_again(state)
            self.step_rows.halve(min(rows, self.step_rows.rows), self.upper.device)
        with needing(self.upper.device, "a step of the optimiser"):
            optimise([learner.optimiser for learner in learners.values()])

    def _gradients(self, learners: dict[int, Learner], parts: list[Tensor], pieces: int) -> None:
        """Leave the gradients of a batch's loss, summed over so many pieces of it."""
        given = {slot: learner.generator for slot, learner in learners.items()}
        if pieces == 1:
            torch.autograd.backward(self._loss(learners, parts, given, [1.0] * len(parts)))
            return
        draws = {
            slot: BatchDraws(given[slot], len(part))
            for slot, part in zip(learners, parts, strict=True)
        }
        for number in range(pieces):
            own, shares = list[Tensor](), list[float]()
            for slot, part in zip(learners, parts, strict=True):
                start, stop = (len(part) * (number + n) // pieces for n in (0, 1))
                if start < stop:
                    draws[slot].begin(start, stop)
                own.append(part[start:stop])
                shares.append((stop - start) / len(part))
            some = {
                slot: learners[slot] for slot, part in zip(learners, own, strict=True) if len(part)
            }
            torch.autograd.backward(
                self._loss(
                    some, [part for part in own if len(part)], draws, [s for s in shares if s]
                )
            )

    def _loss(
        self,
        learners: dict[int, Learner],
        parts: list[Tensor],
        draws: Mapping[int, Generator],
        shares: Sequence[float],
    ) -> Tensor:
        """The loss of parts of the domains' batches, each weighted by its share of the batch."""
        values, step = self._forward(learners, self.rows, parts, draws, train=True)
        total = values.new_zeros(())
        start = 0
        for (slot, learner), part, share in zip(learners.items(), parts, shares, strict=True):
            if slot in step.warm_up:
                total = total + share * step.warm_up[slot]
            else:
                total = total + share * values[start : start + len(part)].mean()
                for kind, phase in learner.phases.items():
                    if phase.beta and (slot, kind) in step.penalty:
                        total = total + share * phase.beta * step.penalty[slot, kind]
            start += len(part)
        return total

    def _forward(
        self,
        learners: dict[int, Learner],
        source: Rows,
        parts: list[Tensor],
        draws: Mapping[int, Generator],
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
            draws,
            None if examples.fresh is None else examples.fresh[rows],
            frozenset(slot for slot, learner in learners.items() if train and learner.warms),
        )
        labels = tuple(each[rows] for each in examples.labels)
        values = self.upper.losses(step.apply, kept.take(rows), labels, train=train)
        return values, step


def finite_mean(sums: Iterable[float], count: int) -> float:
    """The mean of losses by sums of them; infinite where it is not a number."""
    mean = math.fsum(sums) / count
    return math.inf if math.isnan(mean) else mean
