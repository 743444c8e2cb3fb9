"""One training's steps and losses, over rows whose frozen part is kept."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from driftune.models.adapters.batching import interleave
from driftune.models.adapters.examples import CHUNK, Examples, Kept
from driftune.models.adapters.learners import Learner
from driftune.models.adapters.losses import Loss
from driftune.models.adapters.outputs import Output
from driftune.models.adapters.settings import TrainConfig
from driftune.models.adapters.step import Span, Step


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
        self.device = rows.examples.inputs[0].device.type

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
            rows = self.select.examples.rows_of(slot)
            total = 0.0
            for part in torch.split(rows, CHUNK):
                value, _ = self._forward({slot: learner}, self.select, [part])
                total += float(value.double().sum())
            mean = total / len(rows)
            found[slot] = math.inf if math.isnan(mean) else mean
        return found

    @torch.no_grad()
    def kl_bits(self, learner: Learner) -> dict[str, list[float]]:
        """Mean KL of q(z|h) to the Gaussian of the aggregate posterior, per dimension, by place.

        With that prior, m = E μ and s² = Var μ + E σ², the mean KL is ½(log s² − E log σ²),
        whatever prior the kernel was trained with: bits of different β can be compared.
        """
        rows = self.select or self.rows
        found: dict[str, list[tuple[Tensor, Tensor]]] = {}
        for part in torch.split(rows.examples.rows_of(learner.slot), CHUNK):
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
        for learner in learners.values():
            learner.optimiser.zero_grad(set_to_none=True)
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
        for learner in learners.values():
            learner.optimiser.step()

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
        half = self.config.precision == "bf16"
        with (
            torch.set_grad_enabled(train),
            torch.autocast(self.device, dtype=torch.bfloat16, enabled=half),
        ):
            output = self.above(step.apply, *kept.take(rows))
            values = self.loss(output, tuple(each[rows] for each in examples.labels))
        if values.shape != (len(rows),):
            raise ValueError(
                f"the loss gives {tuple(values.shape)} for {len(rows)} rows; "
                "it must give one value per row"
            )
        return values, step
