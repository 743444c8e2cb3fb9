"""Training of many domains' adapters at once on one frozen model.

L = loss of the labels + β·KL(q(z|h) ‖ r_d), summed over the domains. The loss of the labels is
the forward KL from the labels up to a constant; it stands in for the paper's reverse KL (Jiang et
al., arXiv 2501.14268), which is infinite against hard labels.
"""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict, Unpack

import torch

from driftune.models.adapters.attach import AdaptedModel
from driftune.models.adapters.batching import batch_sizes
from driftune.models.adapters.checkpoint import Checkpoint
from driftune.models.adapters.courses import Course, Progress, run_courses
from driftune.models.adapters.devices import device_of, in_precision, moved
from driftune.models.adapters.examples import Examples, Kept
from driftune.models.adapters.learners import Learner, Own, make_learners
from driftune.models.adapters.losses import Loss, esmm_rows
from driftune.models.adapters.report import Training, TrainReport
from driftune.models.adapters.run import Rows, Run
from driftune.models.adapters.scales import fit_scales
from driftune.models.adapters.settings import TrainConfig
from driftune.models.adapters.split import Split, split
from driftune.models.adapters.upper import Upper

log = logging.getLogger("driftune")


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
    halves = lowered(split(adapted, probe), device, config.precision)
    rows, selected = keep(examples, select, halves, device, config.cache_bytes)
    fit_scales(adapted, rows.examples, rows.kept, halves.above)
    epochs = options.get("epochs")
    learners = _learners(adapted, rows, selected, config, epochs)
    loss = options.get("loss", esmm_rows)
    upper = Upper(halves, loss, config.precision, device)
    store = Checkpoint.of(checkpoint, adapted, examples, select, config, epochs)
    run = Run(rows, selected, upper)
    course = Course(run, learners, store, options.get("progress"))
    run_courses([course])
    if course.fault is not None:
        raise course.fault
    for learner in learners.values():
        learner.finish()
    reports = {learner.domain: report_of(run, learner) for learner in learners.values()}
    size = rows.kept.size + (selected.kept.size if selected else 0)
    return Training(reports, time.perf_counter() - started, course.seconds, size, halves.problem)


def lowered(halves: Split, device: torch.device, precision: str) -> Split:
    """The halves of the model, computed in this precision."""
    below = in_precision(halves.below, device, precision)
    above = in_precision(halves.above, device, precision)
    folded = halves.folded and in_precision(halves.folded, device, precision)
    return halves._replace(below=below, above=above, folded=folded)


def keep(
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
    source: Rows,
    selected: Rows | None,
    config: TrainConfig,
    epochs: Mapping[str, int] | None,
) -> dict[int, Learner]:
    """A learner for each domain that has rows, by slot."""
    examples = source.examples
    slots = sorted(set(examples.domains.tolist()) - {-1})
    rows = {slot: examples.rows_of(slot) for slot in slots}
    sizes = batch_sizes(
        {slot: len(own) for slot, own in rows.items()},
        config.batch_size,
        config.min_batch,
        config.batch_exponent,
    )
    own = {
        slot: Own(found, found[:0] if selected is None else selected.examples.rows_of(slot))
        for slot, found in rows.items()
    }
    return make_learners(adapted, own, sizes, config, epochs)


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


def report_of(run: Run, learner: Learner) -> TrainReport:
    """What came of a learner that has ended."""
    return TrainReport(
        rows=len(learner.rows),
        batch_size=learner.batch_size,
        best_epoch=learner.best_epoch,
        epochs_run=learner.epochs_run,
        select_loss=learner.losses,
        kl_bits=run.kl_bits(learner),
        beta=learner.beta,
    )
