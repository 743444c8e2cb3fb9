"""Training of many domains' adapters at once on one frozen model.

L = loss of the labels + β·KL(q(z|h) ‖ r_d), summed over the domains. The loss of the labels is
the forward KL from the labels up to a constant; it stands in for the paper's reverse KL (Jiang et
al., arXiv 2501.14268), which is infinite against hard labels.
"""

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypedDict, Unpack

import torch

from driftune.models.adapters.attach import AdaptedModel
from driftune.models.adapters.batching import batch_sizes
from driftune.models.adapters.checkpoint import Checkpoint
from driftune.models.adapters.devices import device_of, in_precision, moved
from driftune.models.adapters.examples import Examples, Kept
from driftune.models.adapters.learners import Learner, make_learners
from driftune.models.adapters.losses import Loss, esmm_rows
from driftune.models.adapters.report import Training, TrainReport
from driftune.models.adapters.run import Rows, Run
from driftune.models.adapters.scales import fit_scales
from driftune.models.adapters.settings import TrainConfig
from driftune.models.adapters.split import Split, split

log = logging.getLogger("driftune")

Progress = Callable[[str, int, int], None]


class TrainOptions(TypedDict, total=False):
    """What may be said of a training beside its data and settings; see ``train``."""

    loss: Loss
    epochs: Mapping[str, int] | None
    progress: Progress | None


def train(
    adapted: AdaptedModel,
    examples: Examples,
    select: Examples | None,
    config: TrainConfig,
    *,
    checkpoint: Path | None = None,
    **options: Unpack[TrainOptions],
) -> Training:
    """Train the adapters of the examples' domains in place; each ends in its best state.

    A domain stops after ``patience`` epochs without a lower loss on its selection rows; without
    ``select`` it trains for all ``epochs`` (a number for each domain, or the configured one) and
    keeps its last state. With ``checkpoint``, a file, a run that was killed goes on after its last
    whole epoch; the file is removed at the end. ``loss`` (``esmm_rows`` by default) gives each
    row's loss; ``progress`` is told of each epoch. The model's device computes, wherever the rows
    lie. Same model, adapters, examples and seed give the
    same bytes on a CPU with the same number of threads. Kernels that need to be standardised are,
    by their domain's rows (by all rows where it has few).

    Raises:
        ValueError: when there are no rows, or a domain has none to select by.
    """
    training = train_part(adapted, examples, select, config, checkpoint, **options)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return training


def train_part(
    adapted: AdaptedModel,
    examples: Examples,
    select: Examples | None,
    config: TrainConfig,
    checkpoint: Path | None,
    **options: Unpack[TrainOptions],
) -> Training:
    """``train`` as a part of a longer run, which removes the checkpoint at its own end."""
    started = time.perf_counter()
    _check(adapted, examples, select)
    device = device_of(adapted.model)
    probe = tuple(moved(each[:64], device) for each in examples.inputs)
    adapted.build(*probe)
    halves = _in_precision(split(adapted, probe), device, config.precision)
    rows, selected = _keep(examples, select, halves, device, config.cache_bytes)
    fit_scales(adapted, rows.examples, rows.kept, halves.above)
    epochs = options.get("epochs")
    learners = _learners(adapted, rows.examples, config, epochs)
    run = Run(config, rows, selected, halves.above, options.get("loss", esmm_rows))
    store = Checkpoint.of(checkpoint, adapted, examples, select, config, epochs)
    seconds = _epochs(run, learners, store, options.get("progress"))
    for learner in learners.values():
        learner.finish()
    reports = {learner.domain: _report(run, learner) for learner in learners.values()}
    size = rows.kept.size + (selected.kept.size if selected else 0)
    return Training(reports, time.perf_counter() - started, seconds, size, halves.problem)


def _in_precision(halves: Split, device: torch.device, precision: str) -> Split:
    """Both halves of the model, computed in this precision."""
    below = in_precision(halves.below, device, precision)
    above = in_precision(halves.above, device, precision)
    return halves._replace(below=below, above=above)


def _keep(
    examples: Examples,
    select: Examples | None,
    halves: Split,
    device: torch.device,
    most_bytes: int,
) -> tuple[Rows, Rows | None]:
    """The rows with what lies below the adapters, kept in so much memory of the device at most."""
    resident = most_bytes
    if halves.problem is not None:
        # Nothing lies below: what was kept would be the inputs.
        log.info("nothing is computed ahead of the adapters: %s", halves.problem)
        most_bytes = 0
    kept = Kept(examples, halves.below, most_bytes, device, resident)
    rows = Rows(examples.judged_on(device), kept)
    if select is None:
        return rows, None
    left = max(0, most_bytes - kept.size)
    selected = Kept(select, halves.below, left, device, resident)
    return rows, Rows(select.judged_on(device), selected)


def _learners(
    adapted: AdaptedModel,
    examples: Examples,
    config: TrainConfig,
    epochs: Mapping[str, int] | None,
) -> dict[int, Learner]:
    """A learner for each domain that has rows, by slot."""
    slots = sorted(set(examples.domains.tolist()) - {-1})
    rows = {slot: examples.rows_of(slot) for slot in slots}
    sizes = batch_sizes(
        {slot: len(own) for slot, own in rows.items()},
        config.batch_size,
        config.min_batch,
        config.batch_exponent,
    )
    return make_learners(adapted, rows, sizes, config, epochs)


def _epochs(
    run: Run, learners: dict[int, Learner], store: Checkpoint | None, progress: Progress | None
) -> list[float]:
    """Train until every learner has ended, from where the checkpoint is; seconds of each epoch."""
    first = store.restore(learners) if store else 0
    if first == 0 and run.select is not None:
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
        found = run.losses(active) if run.select is not None else {}
        for slot, learner in active.items():
            learner.note(found.get(slot))
        if store:
            store.save(learners, epoch)
        if progress:
            progress("fine-tuning", epoch, most)
    return taken


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


def _report(run: Run, learner: Learner) -> TrainReport:
    return TrainReport(
        rows=len(learner.rows),
        batch_size=learner.batch_size,
        best_epoch=learner.best_epoch,
        epochs_run=learner.epochs_run,
        select_loss=learner.losses,
        kl_bits=run.kl_bits(learner),
        beta=learner.beta,
    )
