"""Training of many domains' adapters at once on one frozen model.

L = loss of the labels + β·KL(q(z|h) ‖ r_d), summed over the domains. The loss of the labels is
the forward KL from the labels up to a constant; it stands in for the paper's reverse KL (Jiang et
al., arXiv 2501.14268), which is infinite against hard labels.
"""

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from driftune.models.adapters.attach import AdaptedModel
from driftune.models.adapters.batching import batch_sizes, interleave
from driftune.models.adapters.checkpoint import Checkpoint
from driftune.models.adapters.examples import CHUNK, Examples, Kept
from driftune.models.adapters.learners import Learner, make_learners
from driftune.models.adapters.losses import Loss, esmm_rows
from driftune.models.adapters.scales import fit_scales
from driftune.models.adapters.split import split
from driftune.models.adapters.step import Span, Step

log = logging.getLogger("driftune")

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class TrainConfig:
    """How adapters are trained.

    ``batch_size`` is that of the largest domain; the others' follow their rows by the power
    ``batch_exponent``, not below ``min_batch``, and their learning rates by its square root.
    ``cache_bytes``: memory for what lies below the adapters; above it, it is made anew for every
    batch. ``precision``: ``fp32`` or ``bf16`` (autocast).

    Raises:
        ValueError: naming the field and its value.
    """

    epochs: int = 12
    patience: int = 3
    batch_size: int = 512
    min_batch: int = 64
    batch_exponent: float = 0.5
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    seed: int = 0
    precision: str = "fp32"
    cache_bytes: int = 1 << 30

    def __post_init__(self) -> None:
        for name in ("epochs", "patience", "batch_size", "min_batch"):
            least = 0 if name == "epochs" else 1
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be {least} or more")
        for name in ("learning_rate", "weight_decay", "batch_exponent", "cache_bytes"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} is {value}; it must be a finite number, 0 or more")
        if self.precision not in ("fp32", "bf16"):
            raise ValueError(f"precision is {self.precision!r}; it must be fp32 or bf16")


@dataclass(frozen=True)
class TrainReport:
    """How one domain's adapter was trained.

    ``select_loss`` holds the mean loss of the selection rows, before training and after each
    epoch; ``best_epoch`` is its minimum, whose state the adapter keeps (0: untrained).
    ``kl_bits``: the kept adapter's mean KL per dimension of z on the selection rows (on the
    training rows without any), in bits, by place. ``beta``: the weight of the KL term, None for
    adapters without one.
    """

    rows: int
    batch_size: int
    best_epoch: int
    epochs_run: int
    select_loss: list[float]
    kl_bits: dict[str, list[float]]
    beta: float | None


@dataclass(frozen=True)
class Training:
    """A run: each domain's report, seconds in all and of each epoch's training alone.

    ``kept_bytes``: what was kept of the frozen part; ``problem``: why the model was not split.
    """

    domains: dict[str, TrainReport]
    seconds: float
    epoch_seconds: list[float]
    kept_bytes: int
    problem: str | None = None


def train(
    adapted: AdaptedModel,
    examples: Examples,
    select: Examples | None,
    config: TrainConfig,
    *,
    loss: Loss = esmm_rows,
    epochs: Mapping[str, int] | None = None,
    checkpoint: Path | None = None,
    keep_checkpoint: bool = False,
    progress: Progress | None = None,
) -> Training:
    """Train the adapters of the examples' domains in place; each ends in its best state.

    A domain stops after ``patience`` epochs without a lower loss on its selection rows; without
    ``select`` it trains for all ``epochs`` (a number for each domain, or the configured one) and
    keeps its last state. With ``checkpoint``, a file, a run that was killed goes on after its last
    whole epoch; the file is removed at the end, or kept where this is a part of a longer run. Same
    model, adapters, examples and seed give the same bytes on a CPU with the same number of
    threads. IAK kernels that were not standardised yet are, by their domain's rows (by all rows
    where it has few).

    Raises:
        ValueError: when there are no rows, or a domain has none to select by.
    """
    started = time.perf_counter()
    _check(adapted, examples, select)
    probe = tuple(each[:64] for each in examples.inputs)
    adapted.build(*probe)
    halves = split(adapted, probe)
    most_bytes = config.cache_bytes
    if halves.problem is not None:
        # Nothing lies below: what was kept would be the inputs.
        log.info("nothing is computed ahead of the adapters: %s", halves.problem)
        most_bytes = 0
    kept = Kept(examples, halves.below, most_bytes)
    kept_select = select and Kept(select, halves.below, max(0, most_bytes - kept.size))
    fit_scales(adapted, examples, kept, halves.above)
    slots = sorted(set(examples.domains.tolist()) - {-1})
    rows = {slot: examples.rows_of(slot) for slot in slots}
    sizes = batch_sizes(
        {slot: len(own) for slot, own in rows.items()},
        config.batch_size,
        config.min_batch,
        config.batch_exponent,
    )
    run = _Run(config, examples, kept, select, kept_select or None, halves.above, loss)
    learners = make_learners(adapted, rows, sizes, config, epochs)
    store = Checkpoint.of(checkpoint, adapted, examples, select, config, epochs)
    first = store.restore(learners) if store else 0
    if first == 0 and select is not None:
        for slot, value in run.losses(learners).items():
            learners[slot].note(value)
    taken: list[float] = []
    most = max(learner.epochs for learner in learners.values())
    for epoch in range(first + 1, most + 1):
        active = {slot: each for slot, each in learners.items() if each.goes_on(epoch)}
        if not active:
            break
        begun = time.perf_counter()
        run.epoch(active, epoch)
        taken.append(time.perf_counter() - begun)
        found = run.losses(active) if select is not None else dict.fromkeys(active)
        for slot, learner in active.items():
            learner.note(found[slot])
        if store:
            store.save(learners, epoch)
        if progress:
            progress("fine-tuning", epoch, most)
    for learner in learners.values():
        learner.finish()
    reports = {learner.domain: _report(run, learner) for learner in learners.values()}
    if store and not keep_checkpoint:
        store.remove()
    size = kept.size + (kept_select.size if kept_select else 0)
    return Training(reports, time.perf_counter() - started, taken, size, halves.problem)


class _Run:
    """The data and the halves of the model, for one run."""

    def __init__(
        self,
        config: TrainConfig,
        examples: Examples,
        kept: Kept,
        select: Examples | None,
        kept_select: Kept | None,
        above: Callable[..., object],
        loss: Loss,
    ) -> None:
        self.config, self.examples, self.kept = config, examples, kept
        self.select, self.kept_select = select, kept_select
        self.above, self.loss = above, loss
        self.device = examples.inputs[0].device.type

    def epoch(self, active: dict[int, Learner], epoch: int) -> None:
        """One pass over the active domains' rows, several domains in each step."""
        batches = {slot: learner.start(epoch) for slot, learner in active.items()}
        counts = {slot: len(own) for slot, own in batches.items()}
        queues = {slot: iter(own) for slot, own in batches.items()}
        for slots in interleave(counts):
            self._step({slot: active[slot] for slot in slots}, [next(queues[n]) for n in slots])

    def losses(self, learners: dict[int, Learner]) -> dict[int, float]:
        """Mean loss of each domain's selection rows; infinite where it is not a number."""
        assert self.select is not None and self.kept_select is not None
        found = {}
        for slot, learner in learners.items():
            learner.adapter.eval()
            rows = self.select.rows_of(slot)
            total = 0.0
            for part in rows.split(CHUNK):
                value, _ = self._forward({slot: learner}, self.select, self.kept_select, [part])
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
        examples, kept = (
            (self.examples, self.kept)
            if self.select is None or self.kept_select is None
            else (self.select, self.kept_select)
        )
        found: dict[str, list[tuple[Tensor, Tensor]]] = {}
        for part in examples.rows_of(learner.slot).split(CHUNK):
            _, step = self._forward({learner.slot: learner}, examples, kept, [part])
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
        values, step = self._forward(learners, self.examples, self.kept, parts, train=True)
        total = values.new_zeros(())
        start = 0
        for (slot, learner), part in zip(learners.items(), parts, strict=True):
            if slot in step.reconstruction:
                total = total + step.reconstruction[slot]
            else:
                total = total + values[start : start + len(part)].mean()
                if slot in step.kl and learner.beta:
                    total = total + learner.beta * step.kl[slot]
            start += len(part)
        total.backward()
        for learner in learners.values():
            learner.optimiser.step()

    def _forward(
        self,
        learners: dict[int, Learner],
        examples: Examples,
        kept: Kept,
        parts: list[Tensor],
        train: bool = False,
    ) -> tuple[Tensor, Step]:
        """Loss of each row, domain after domain, and the step with its other terms."""
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


def _check(adapted: AdaptedModel, examples: Examples, select: Examples | None) -> None:
    slots = set(examples.domains.tolist()) - {-1}
    if not slots:
        raise ValueError("no training rows of a domain that has an adapter")
    known = {int(adapted.slots([name])): name for name in adapted.domains}
    foreign = sorted(slots - set(known))
    if foreign:
        raise ValueError(
            f"training rows have the domain ids {', '.join(map(str, foreign))}; there are: "
            + (", ".join(f"{slot} ({name})" for slot, name in sorted(known.items())) or "none")
        )
    if select is None:
        return
    missing = slots - set(select.domains.tolist())
    if missing:
        names = [name for name in adapted.domains if int(adapted.slots([name])) in missing]
        raise ValueError(f"no selection rows of {', '.join(names)}")


def _report(run: _Run, learner: Learner) -> TrainReport:
    return TrainReport(
        rows=len(learner.rows),
        batch_size=learner.batch_size,
        best_epoch=learner.best_epoch,
        epochs_run=learner.epochs_run,
        select_loss=learner.losses,
        kl_bits=run.kl_bits(learner),
        beta=learner.plan.beta if learner.plan else None,
    )
