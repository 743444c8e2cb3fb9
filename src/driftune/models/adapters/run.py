"""One training's steps and losses, over rows whose frozen part is kept."""

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Generator, Tensor

from driftune.models.adapters.batching import interleave
from driftune.models.adapters.devices import Chunk, computing, lacks_memory
from driftune.models.adapters.draws import BatchDraws
from driftune.models.adapters.examples import CHUNK, Examples, Kept
from driftune.models.adapters.feeding import over_chunks
from driftune.models.adapters.learners import Learner
from driftune.models.adapters.losses import Loss
from driftune.models.adapters.outputs import Output, in_full
from driftune.models.adapters.settings import TrainConfig
from driftune.models.adapters.step import Span, Step

Found = TypeVar("Found")


class Rows(NamedTuple):
    """Rows of examples, and what lies below the adapters for each of them."""

    examples: Examples
    kept: Kept


class Run:
    """Steps and losses over the data and the upper half of the model, for one training."""

    def __init__(
        self,
        config: TrainConfig,
        rows: Rows,
        select: Rows | None,
        above: Callable[..., Output],
        loss: Loss,
    ) -> None:
        self.config, self.rows, self.select = config, rows, select
        self.above, self.loss = above, loss
        self.device = rows.examples.domains.device
        self.step_rows = Chunk(sys.maxsize, "a training step")
        self.select_rows = Chunk(CHUNK, "the selection rows")
        self._rows_of: dict[int, Tensor] = {}

    def epoch(self, active: dict[int, Learner], epoch: int) -> None:
        """One pass over the active domains' rows, several domains in each step."""
        batches = {slot: learner.start(epoch) for slot, learner in active.items()}
        counts = {slot: len(own) for slot, own in batches.items()}
        queues = {slot: iter(own) for slot, own in batches.items()}
        for slots in interleave(counts):
            self._step({slot: active[slot] for slot in slots}, [next(queues[n]) for n in slots])

    def losses(self, learners: dict[int, Learner]) -> dict[int, float]:
        """Mean loss of each domain's selection rows; infinite where it is not a number."""
        assert self.select is not None
        found = {}
        for slot, learner in learners.items():
            learner.adapter.eval()
            values = self._over(learner, self.select, lambda value, _: value.cpu().double().sum())
            mean = math.fsum(map(float, values)) / len(self._judged_by(learner, self.select))
            found[slot] = math.inf if math.isnan(mean) else mean
        return found

    def _judged_by(self, learner: Learner, source: Rows) -> Tensor:
        """Positions of the learner's rows, looked for once."""
        if learner.slot not in self._rows_of:
            self._rows_of[learner.slot] = source.examples.rows_of(learner.slot)
        return self._rows_of[learner.slot]

    def _over(
        self, learner: Learner, source: Rows, look: Callable[[Tensor, Step], Found]
    ) -> list[Found]:
        """What is seen in the passes over the rows that the learner is judged by."""
        given = {learner.slot: learner.generator}

        def one(_: int, part: Tensor) -> Found:
            return look(*self._forward({learner.slot: learner}, source, [part], given))

        rows = self._judged_by(learner, source)
        return over_chunks([rows], self.device, self.select_rows, one)

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

    def _step(self, learners: dict[int, Learner], parts: list[Tensor]) -> None:
        """Train on a batch; where memory does not suffice, by the gradients of parts of it."""
        states = {slot: learner.generator.get_state() for slot, learner in learners.items()}
        rows = sum(map(len, parts))
        while True:
            try:
                self._gradients(learners, parts, -(-rows // self.step_rows.rows))
                break
            except RuntimeError as error:
                if not lacks_memory(error):
                    raise
            for slot, learner in learners.items():
                learner.generator.set_state(states[slot])
            self.step_rows.halve(min(rows, self.step_rows.rows), self.device)
        for learner in learners.values():
            learner.optimiser.step()

    def _gradients(self, learners: dict[int, Learner], parts: list[Tensor], pieces: int) -> None:
        """Leave the gradients of a batch's loss, summed over so many pieces of it."""
        for learner in learners.values():
            learner.optimiser.zero_grad(set_to_none=True)
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
        with torch.set_grad_enabled(train):
            with computing(self.device, self.config.precision):
                output = self.above(step.apply, *kept.take(rows))
            values = self.loss(in_full(output), tuple(each[rows] for each in examples.labels))
        if values.shape != (len(rows),):
            raise ValueError(
                f"the loss gives {tuple(values.shape)} for {len(rows)} rows; "
                "it must give one value per row"
            )
        return values, step
