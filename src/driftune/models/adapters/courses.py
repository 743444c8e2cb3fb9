"""Courses: trainings that go on side by side, epoch by epoch, each with an end of its own."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field

from driftune.models.adapters import stacks
from driftune.models.adapters.checkpoint import Checkpoint
from driftune.models.adapters.learners import Learner
from driftune.models.adapters.run import Run

Progress = Callable[[str, int, int], None]


@dataclass
class Course:
    """A training under way: its learners by slot, and how far it is.

    ``epoch``: the last whole one; ``seconds``: what each epoch of this process took, all that
    trained beside it included; ``fault``: what ended it, if something did.
    """

    run: Run
    learners: dict[int, Learner]
    store: Checkpoint | None = None
    progress: Progress | None = None
    epoch: int = 0
    seconds: list[float] = field(default_factory=list)
    fault: Exception | None = None

    @property
    def most(self) -> int:
        """The last epoch that some learner may come to."""
        return max(learner.epochs for learner in self.learners.values())

    def active(self) -> list[Learner]:
        """The learners that go on with the next epoch."""
        if self.fault is not None:
            return []
        return [each for each in self.learners.values() if each.goes_on(self.epoch + 1)]


def run_courses(courses: Sequence[Course], workers: int = 1) -> None:
    """Train until every learner has ended, each course from where its checkpoint is.

    What a course's checkpoint or progress raises is its fault and ends it alone. The courses share
    one model, loss and precision. ``workers``: threads; they change no result.
    """
    with ThreadPoolExecutor(workers) if workers > 1 else nullcontext() as pool:
        _begin(courses, pool, workers)
        while going := {n: course.active() for n, course in enumerate(courses) if course.active()}:
            begun = time.perf_counter()
            trained = [(courses[n], learners) for n, learners in going.items()]
            _epoch(trained, pool, workers)
            taken = time.perf_counter() - begun
            for course, _ in trained:
                course.epoch += 1
                course.seconds.append(taken)
            _note(trained, pool, workers)
            for course, _ in trained:
                _keep(course)


def _begin(courses: Sequence[Course], pool: Executor | None, workers: int) -> None:
    for course in courses:
        if course.store is not None:
            course.epoch = course.store.restore(course.learners)
    new = [(course, [*course.learners.values()]) for course in courses if course.epoch == 0]
    _note([each for each in new if each[0].run.select is not None], pool, workers)


def _epoch(
    trained: Sequence[tuple[Course, list[Learner]]], pool: Executor | None, workers: int
) -> None:
    lanes = []
    for course, learners in trained:
        batches = {learner: learner.start(course.epoch + 1) for learner in learners}
        lanes += [
            stacks.Lane(learner, course.run, course.run.rows, own)
            for learner, own in batches.items()
            if learner.stacks_with is not None
        ]
        alone = {each: own for each, own in batches.items() if each.stacks_with is None}
        if alone:
            course.run.epoch(alone)
    if lanes:
        stacks.epoch(lanes, pool, workers)


def _note(
    trained: Sequence[tuple[Course, list[Learner]]], pool: Executor | None, workers: int
) -> None:
    """Tell the learners their loss on their selection rows, where they have some."""
    lanes = []
    for course, learners in trained:
        for learner in learners:
            if course.run.select is None:
                learner.note(None)
            elif learner.stacks_with is None:
                learner.note(course.run.loss(learner))
            else:
                own = (learner.select_rows,)
                lanes.append(stacks.Lane(learner, course.run, course.run.select, own))
    if lanes:
        found = stacks.losses(lanes, pool, workers)
        for lane, loss in zip(lanes, found, strict=True):
            lane.learner.note(loss)


def _keep(course: Course) -> None:
    try:
        if course.store is not None:
            course.store.save(course.learners, course.epoch)
        if course.progress is not None:
            course.progress("fine-tuning", course.epoch, course.most)
    except Exception as error:
        course.fault = error
