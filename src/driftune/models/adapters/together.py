"""Many domains at once, each with its choice of β and of rows, on one frozen model.

What comes of a domain depends on nothing but its own rows, start and settings.
"""

import copy
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import NamedTuple

import torch

from driftune.models.adapters.adapter import Adapter
from driftune.models.adapters.attach import AdaptedModel
from driftune.models.adapters.batching import batch_sizes
from driftune.models.adapters.checkpoint import Checkpoint, mark
from driftune.models.adapters.courses import Course, Progress, run_courses
from driftune.models.adapters.crossfit import Fitted, fit_folds, folds_of, join
from driftune.models.adapters.devices import bring, device_of, moved
from driftune.models.adapters.examples import Examples
from driftune.models.adapters.files import fingerprint
from driftune.models.adapters.learners import Learner, Own
from driftune.models.adapters.losses import Loss, esmm_rows
from driftune.models.adapters.methods.registry import stacks_with
from driftune.models.adapters.report import TrainReport
from driftune.models.adapters.run import Rows, Run
from driftune.models.adapters.scales import fit_scale
from driftune.models.adapters.settings import TrainConfig
from driftune.models.adapters.split import Split, split
from driftune.models.adapters.training import keep, lowered, report_of
from driftune.models.adapters.upper import Upper

PROBE = 64


@dataclass(frozen=True)
class Choice:
    """One domain's training: from ``start`` and the ``others``, with each β, on each window.

    ``windows``: positions in ``examples`` that they begin at; all end where the examples do.
    ``others``: further starts to choose from; kernels may sit at other places.
    ``folds``: of more than one, each leaves out a block of the selection rows in its turn, and what
    is chosen by all of them is trained on all rows, see ``crossfit``.
    ``config``: its batch size is that of the domain, or all of its rows where they are fewer.
    """

    domain: str
    start: Adapter
    examples: Examples
    windows: Sequence[int]
    select: Examples
    betas: Sequence[float]
    config: TrainConfig
    checkpoint: Path | None = None
    progress: Progress | None = None
    others: Sequence[Adapter] = ()
    folds: int = 1

    @property
    def starts(self) -> tuple[Adapter, ...]:
        """All starts, the first wins where others do no better."""
        return self.start, *self.others

    @property
    def blocks(self) -> int:
        """The folds that there are selection rows for."""
        return max(1, min(self.folds, len(self.select)))


@dataclass(frozen=True)
class Chosen:
    """The adapter of the lowest loss on the selection rows, its window and its start, from 0."""

    adapter: Adapter
    window: int
    report: TrainReport
    start: int = 0


def choose_together(
    adapted: AdaptedModel,
    choices: Sequence[Choice],
    workers: int = 1,
    loss: Loss = esmm_rows,
) -> list[Chosen | Exception]:
    """Train all domains side by side; returns what came of each, or the error that ended it.

    Each has a course of its own, and goes on from its checkpoint, which stays: its rows may still
    be wanted when its adapter is lost. The model's device computes, wherever
    the rows lie, in the precision of the first. ``workers``: threads.
    """
    if not choices:
        return []
    first = choices[0]
    device, precision = device_of(adapted.model), first.config.precision
    frozen = fingerprint(adapted.model)
    both = [
        Way(halves, Upper(halves, loss, precision, device))
        for halves in (
            lowered(_split(adapted, choices, folds), device, precision) for folds in (True, False)
        )
    ]
    courses: list[Course | Exception] = []
    for choice in choices:
        try:
            courses.append(_course(choice, _way(choice, both), frozen))
        except Exception as error:
            courses.append(error)
    run_courses([course for course in courses if isinstance(course, Course)], workers)
    lasts = {
        n: _last(choice, course, frozen)
        for n, (choice, course) in enumerate(zip(choices, courses, strict=True))
        if choice.folds > 1 and isinstance(course, Course) and course.fault is None
    }
    run_courses([course for course, _ in lasts.values()], workers)
    return [
        course
        if isinstance(course, Exception)
        else course.fault or (_ended(choice, *lasts[n]) if n in lasts else _chosen(choice, course))
        for n, (choice, course) in enumerate(zip(choices, courses, strict=True))
    ]


class Way(NamedTuple):
    """The halves of a model, and what trains by them."""

    halves: Split
    upper: Upper


@torch.no_grad()
def _way(choice: Choice, both: Sequence[Way]) -> Way:
    """The folded way for adapters that use it and rows whose values fit; by the domain alone."""
    folded, plain = both
    if folded.halves.folded is None or any(
        stacks_with(kernel) is None for start in choice.starts for _, kernel in start.items()
    ):
        return plain
    device = folded.upper.device
    probe = folded.halves.below(*(moved(each[:1], device) for each in choice.examples.inputs))
    row = sum(each.element_size() * each.numel() for each in probe)
    rows = len(choice.examples) + len(choice.select)
    return folded if row * rows <= choice.config.cache_bytes else plain


def _split(adapted: AdaptedModel, choices: Sequence[Choice], folds: bool) -> Split:
    """The halves of the model; one domain's broken rows do not hide them from the others."""
    device = device_of(adapted.model)
    for choice in choices:
        probe = tuple(moved(each[:PROBE], device) for each in choice.examples.inputs)
        found = split(adapted, probe, folds)
        if found.problem is None:
            break
    return found


def _course(choice: Choice, way: Way, frozen: str) -> Course:
    """The domain's course: a learner for each start, window, fold and β, in this order."""
    halves, upper = way
    config = choice.config
    device = upper.device
    if choice.folds > 1:
        joined = join(choice.examples, choice.select)
        rows, _ = keep(joined, None, halves, device, config.cache_bytes)
        selected: Rows | None = rows
    else:
        rows, selected = keep(choice.examples, choice.select, halves, device, config.cache_bytes)
    learners: dict[int, Learner] = {}
    for given, own in product(choice.starts, _parts(choice, device)):
        start = copy.deepcopy(given)
        bring(start, device)
        fit_scale(start, own.train, rows.kept, upper.above)
        sizes = batch_sizes(
            {0: len(own.train)}, config.batch_size, config.min_batch, config.batch_exponent
        )
        for beta in choice.betas:
            adapter = copy.deepcopy(start)
            for _, kernel in adapter.items():
                kernel.config = kernel.config.with_beta(float(beta))
            slot = len(learners)
            learners[slot] = Learner(
                choice.domain, slot, adapter, own, sizes[0], config, config.epochs
            )
    course = Course(Run(rows, selected, upper), learners, None, choice.progress)
    if choice.checkpoint is not None:
        course.store = Checkpoint(choice.checkpoint, _mark(choice, frozen))
    return course


def _parts(choice: Choice, device: torch.device) -> list[Own]:
    """The rows that train and select, window by window and of each fold by fold."""
    newest = torch.arange(len(choice.select), device=device)
    every = torch.arange(len(choice.examples), device=device)
    if choice.folds == 1:
        return [Own(every[begins:], newest) for begins in choice.windows]
    return [
        own for begins in choice.windows for own in folds_of(every[begins:], newest, choice.blocks)
    ]


def _last(choice: Choice, course: Course, frozen: str) -> tuple[Course, Fitted]:
    """The course that trains what the folds have chosen on all rows, for their epochs."""
    fitted = fit_folds([*course.learners.values()], choice.blocks, len(choice.betas))
    start, window = divmod(fitted.part, len(choice.windows))
    run = Run(course.run.rows, None, course.run.upper)
    device = run.upper.device
    every = torch.arange(len(choice.examples) + len(choice.select), device=device)
    own = Own(every[choice.windows[window] :], every[:0])
    adapter = copy.deepcopy(choice.starts[start])
    bring(adapter, device)
    fit_scale(adapter, own.train, run.rows.kept, run.upper.above)
    for _, kernel in adapter.items():
        kernel.config = kernel.config.with_beta(float(choice.betas[fitted.beta]))
    config = choice.config
    sizes = batch_sizes(
        {0: len(own.train)}, config.batch_size, config.min_batch, config.batch_exponent
    )
    learner = Learner(choice.domain, 0, adapter, own, sizes[0], config, fitted.epochs)
    last = Course(run, {0: learner}, None, choice.progress)
    if choice.checkpoint is not None:
        file = choice.checkpoint.with_name(f"{choice.checkpoint.name}.last")
        last.store = Checkpoint(file, f"{_mark(choice, frozen)} {fitted.epochs}")
    return last, fitted


def _ended(choice: Choice, course: Course, fitted: Fitted) -> Chosen | Exception:
    """What the folds have chosen, trained on all rows."""
    if course.fault is not None:
        return course.fault
    learner = course.learners[0]
    learner.finish()
    start, window = divmod(fitted.part, len(choice.windows))
    report = replace(
        report_of(course.run, learner), select_loss=fitted.losses, best_epoch=fitted.epochs
    )
    return Chosen(learner.adapter, window, report, start)


def _mark(choice: Choice, frozen: str) -> str:
    """What tells the choice's training from others."""
    kernels = [
        [place, kernel.config.kind, kernel.config.to_dict()]
        for start in choice.starts
        for place, kernel in start.items()
    ]
    folds = [] if choice.folds == 1 else [choice.folds]
    settings = [
        *(asdict(choice.config), choice.domain, [*choice.windows], [*choice.betas], kernels),
        *folds,
    ]
    prints = [frozen, *map(fingerprint, choice.starts)]
    return mark(json.dumps(settings, sort_keys=True), prints, [choice.examples, choice.select])


def _chosen(choice: Choice, course: Course) -> Chosen:
    """The first of the learners with the lowest loss: of a window's β, of windows, of starts."""
    for learner in course.learners.values():
        learner.finish()
    each = [learner.losses[learner.best_epoch] for learner in course.learners.values()]
    slot = min(course.learners, key=lambda number: each[number])
    best = course.learners[slot]
    start, window = divmod(slot // len(choice.betas), len(choice.windows))
    return Chosen(best.adapter, window, report_of(course.run, best), start)
