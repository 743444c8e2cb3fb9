"""Many learners trained at once: those whose kernels are alike share each matrix product.

A stack holds a block of rows for each of its learners, all blocks equally long: batches are filled
up with a row of their own that does not count. Every sum, product and draw is one learner's own,
and of a length that follows from its own rows, so that what a learner becomes does not depend on
those beside it: on CPUs bit by bit, as ``tests/models/adapters/test_adapter_stack_bits.py`` shows.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import Executor
from functools import partial
from itertools import groupby
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from driftune.models.adapters.devices import Chunk, lacks_memory, moved, needing
from driftune.models.adapters.examples import CHUNK
from driftune.models.adapters.folding import Through
from driftune.models.adapters.learners import Learner
from driftune.models.adapters.methods.registry import stack
from driftune.models.adapters.methods.stack import KernelStack
from driftune.models.adapters.outputs import Output, flat, one_tensor
from driftune.models.adapters.run import Rows, Run, finite_mean
from driftune.models.adapters.trained import Trained, trains_with
from driftune.models.adapters.upper import Upper

Item = TypeVar("Item")

# What a stack's intermediate values fit with into a core's cache, and rows that a block is a
# multiple of: no vector instruction then meets the end of a block.
STACK_ROWS, BLOCK = 4096, 64


class Lane(NamedTuple):
    """A learner and the rows that its positions are of, for an epoch or for its selection loss.

    ``run``: its training, which takes it alone where memory lacks; ``batches``: positions of rows,
    batch by batch, or those to select by as the only ones.
    """

    learner: Learner
    run: Run
    source: Rows
    batches: tuple[Tensor, ...]


def epoch(lanes: Sequence[Lane], pool: Executor | None, workers: int = 1) -> None:
    """One pass over each lane's batches; stacks of lanes share ``workers`` threads of ``pool``."""

    def key(lane: Lane) -> Hashable:
        learner = lane.learner
        penalised = any(phase.beta for phase in learner.phases.values())
        block = _blocks(learner.batch_size if len(lane.batches) > 1 else _length(lane))
        shape = learner.stacks_with, trains_with(learner), block
        return lane.run.upper, shape, learner.warms, penalised

    parts = []
    for alike in _alike(lanes, key):
        # Those with as many batches end together, and those with as long a last one are neighbours.
        alike.sort(key=lambda lane: (len(lane.batches), len(lane.batches[-1])), reverse=True)
        parts += _shared(alike, max(_length(lane) for lane in alike), workers)
    _each(pool, [partial(_train, part[0].run.upper, part) for part in parts])


def losses(lanes: Sequence[Lane], pool: Executor | None, workers: int = 1) -> list[float]:
    """Mean loss of each lane's rows, without noise; infinite where it is not a number."""
    found: dict[int, float] = {}

    def judge(part: list[tuple[int, Lane]]) -> None:
        values = _evaluate(part[0][1].run.upper, [lane for _, lane in part])
        found.update(zip((number for number, _ in part), values, strict=True))

    def key(each: tuple[int, Lane]) -> Hashable:
        lane = each[1]
        return lane.run.upper, lane.learner.stacks_with, _blocks(len(lane.batches[0]))

    parts = []
    for alike in _alike(enumerate(lanes), key):
        parts += _shared(alike, len(alike[0][1].batches[0]), workers)
    _each(pool, [partial(judge, part) for part in parts])
    return [found[number] for number in range(len(lanes))]


def _alike(lanes: Iterable[Item], key: Callable[[Item], Hashable]) -> list[list[Item]]:
    found: dict[Hashable, list[Item]] = {}
    for lane in lanes:
        found.setdefault(key(lane), []).append(lane)
    return [*found.values()]


def _shared(lanes: list[Item], rows: int, workers: int) -> list[list[Item]]:
    """The lanes in parts that fit into a core's cache, and at least one for each worker."""
    most = max(1, min(STACK_ROWS // _blocks(rows), -(-len(lanes) // workers)))
    return [lanes[start : start + most] for start in range(0, len(lanes), most)]


def _each(pool: Executor | None, calls: Sequence[Callable[[], None]]) -> None:
    if pool is None or len(calls) < 2:
        for call in calls:
            call()
        return
    for future in [pool.submit(call) for call in calls]:
        future.result()


def _length(lane: Lane) -> int:
    return max(len(batch) for batch in lane.batches)


def _blocks(rows: int) -> int:
    """The rows of a block that holds so many."""
    return -(-rows // BLOCK) * BLOCK


def _train(upper: Upper, lanes: Sequence[Lane]) -> None:
    """All batches of the lanes, a step after the other."""
    trained = Trained([lane.learner for lane in lanes])
    for number in range(max(len(lane.batches) for lane in lanes)):
        due = [(lane, lane.batches[number]) for lane in lanes if number < len(lane.batches)]
        start = 0
        for _, part in groupby(due, lambda each: _blocks(len(each[1]))):
            own = [*part]
            _step(upper, own, trained, start)
            start += len(own)
    trained.give_back(0, len(lanes))


def _step(upper: Upper, due: Sequence[tuple[Lane, Tensor]], trained: Trained, start: int) -> None:
    """A step of lanes by their batches, which make blocks of one length.

    ``start``: the first one's number in ``trained``. Where memory lacks it is taken by halves of
    the lanes, and by a lane alone as ``Run`` does: its draws are the same, and its sums are but for
    rounding.
    """
    lanes, batches = [lane for lane, _ in due], [batch for _, batch in due]
    stop = start + len(due)
    drawn = [lane.learner.generator.get_state() for lane in lanes]
    gradients: list[Tensor | None] = []

    def differentiate() -> None:
        leaves, kernels = trained.part(start, stop)
        step = Stack(lanes, batches, kernels, train=True)
        total = step.total(step.losses(upper))
        gradients.extend(torch.autograd.grad(total, leaves, allow_unused=True))

    if _fits(upper.stacked, len(due) * _blocks(len(batches[0])), upper, differentiate):
        with needing(upper.device, "a step of the optimiser"):
            trained.step(start, stop, gradients)
        return
    for lane, state in zip(lanes, drawn, strict=True):
        lane.learner.begin_again(state)
    if len(due) == 1:
        trained.give_back(start, stop)
        lanes[0].run.step({lanes[0].learner.slot: lanes[0].learner}, batches)
        trained.take(start, stop)
        return
    half = len(due) // 2
    _step(upper, due[:half], trained, start)
    _step(upper, due[half:], trained, start + half)


def _evaluate(upper: Upper, lanes: Sequence[Lane]) -> list[float]:
    """Mean loss of each lane's rows; of fewer lanes at once where memory lacks."""
    sums: list[list[float]] = [[] for _ in lanes]
    longest = max(len(lane.batches[0]) for lane in lanes)

    def judge() -> None:
        kernels = _kernels(lanes)
        for start in range(0, longest, CHUNK):
            parts = [lane.batches[0][start : start + CHUNK] for lane in lanes]
            step = Stack(lanes, parts, kernels, train=False)
            values = step.losses(upper).view(len(lanes), -1).cpu().double()
            for number, part in enumerate(parts):
                sums[number].append(float(values[number, : len(part)].sum()))

    rows = len(lanes) * _blocks(min(longest, CHUNK))
    if _fits(upper.judged, rows, upper, judge):
        return [
            finite_mean(own, len(lane.batches[0])) for own, lane in zip(sums, lanes, strict=True)
        ]
    if len(lanes) == 1:
        return [lanes[0].run.loss(lanes[0].learner)]
    return [loss for half in _halves(lanes) for loss in _evaluate(upper, half)]


def _kernels(lanes: Sequence[Lane]) -> dict[str, KernelStack]:
    """The lanes' kernels as they are, by place."""
    found = {}
    with torch.no_grad():
        for place in lanes[0].learner.adapter.places:
            kernels = [lane.learner.adapter.at(place) for lane in lanes]
            found[place] = stack([kernel for kernel in kernels if kernel is not None])
    return found


def _fits(most: Chunk, rows: int, upper: Upper, call: Callable[[], None]) -> bool:
    """Whether a call for so many rows, which is made unless more lacked memory, has found it."""
    if rows > most.rows:
        return False
    try:
        call()
        return True
    except RuntimeError as error:
        if not lacks_memory(error):
            raise
    # Here the error is gone, and with it what its frames have held on the device.
    most.halve(rows, upper.device)
    return False


def _halves(items: Sequence[Item]) -> tuple[Sequence[Item], Sequence[Item]]:
    middle = len(items) // 2
    return items[:middle], items[middle:]


class Stack:
    """A step's lanes with a block of rows each; collects the terms of the loss beside the labels'.

    ``parts``: each lane's positions of rows, whose numbers make blocks of one length; ``kernels``:
    the lanes' kernels by place.
    """

    def __init__(
        self,
        lanes: Sequence[Lane],
        parts: Sequence[Tensor],
        kernels: dict[str, KernelStack],
        *,
        train: bool,
    ) -> None:
        self._learners = [lane.learner for lane in lanes]
        self._train, self._kernels = train, kernels
        self._warms = train and self._learners[0].warms
        self._counts = [len(part) for part in parts]
        self._block = block = _blocks(max(self._counts))
        first = lanes[0].source
        rows = block * len(lanes)
        self._kept = first.kept.empty(parts[0], rows)
        labels = first.examples.labels
        self._labels = tuple(each.new_empty((rows, *each.shape[1:])) for each in labels)
        for number, (lane, part) in enumerate(zip(lanes, parts, strict=True)):
            positions = torch.cat([part, part[:1].expand(block - len(part))])
            start = number * block
            lane.source.kept.fill(self._kept, start, positions)
            for whole, own in zip(self._labels, lane.source.examples.labels, strict=True):
                torch.index_select(own, 0, positions, out=whole[start : start + block])
        self._terms: list[Tensor] = []

    def losses(self, upper: Upper) -> Tensor:
        """Loss of each row of each block, (lanes · block,)."""
        if upper.folded is not None and not self._warms:
            return upper.folded_losses(self._pass, self._kept, self._labels, train=self._train)
        return upper.losses(self._apply, self._kept, self._labels, train=self._train)

    def total(self, losses: Tensor) -> Tensor:
        """What the step lowers: the sum over lanes of the mean over their rows, and its terms."""
        terms = self._terms
        if not self._warms:
            weights = self._weights(losses, [1.0] * len(self._counts))
            terms = [(losses.view_as(weights) * weights).sum(), *terms]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total

    def _apply(self, place: str, output: Output, inputs: tuple[Tensor, ...]) -> Output:
        """The output of the module at ``place``, each block changed by its own lane's kernel."""
        return self._changed(place, output, None)

    def _pass(self, place: str, output: Output, through: Through) -> Output:
        """What the layer behind the place makes of the output that ``_apply`` gives."""
        return self._changed(place, output, through)

    def _changed(self, place: str, output: Output, through: Through | None) -> Output:
        kernel, stacked = self._learners[0].adapter.at(place), self._kernels.get(place)
        if kernel is None or stacked is None:
            return output if through is None else through.plain
        lanes = len(self._learners)
        whole = one_tensor(output, kernel.width)
        h = flat(whole).view(lanes, -1, kernel.width)
        phases = [learner.phases.get(kernel.config.kind) for learner in self._learners]
        betas = [phase.beta if phase else 0.0 for phase in phases]
        noise = self._noise(h, stacked.bottleneck) if self._train else None
        given = whole if through is None else through.plain
        if through is not None:
            plain = flat(given).view(lanes, -1, given.shape[-1])
            through = through._replace(plain=plain)
        adapted = stacked.adapt(h, noise, any(betas) and not self._warms, through)
        if adapted.kl is not None:
            self._terms.append((adapted.kl * self._weights(adapted.kl, betas)).sum())
        if self._warms:
            errors = stacked.warm_up(h, adapted.h)
            self._terms.append((errors * self._weights(errors, [1.0] * lanes)).sum())
        return adapted.h.view_as(given)

    def _weights(self, values: Tensor, factors: Sequence[float]) -> Tensor:
        """Weights (lanes, rows) that make means of each lane's rows, times its factor."""
        lanes = len(self._counts)
        length = values.numel() // lanes
        steps = length // self._block
        weights = torch.zeros(lanes, length)
        for number, (count, factor) in enumerate(zip(self._counts, factors, strict=True)):
            weights[number, : count * steps] = factor / (count * steps)
        return moved(weights, values.device)

    def _noise(self, h: Tensor, width: int) -> Tensor:
        """Standard normal draws for each lane's own rows, by its own generator; (…, width)."""
        lanes, length, _ = h.shape
        noise = torch.zeros(lanes, length, width)
        for number, learner in enumerate(self._learners):
            rows = self._counts[number] * (length // self._block)
            torch.randn((rows, width), generator=learner.generator, out=noise[number, :rows])
        return moved(noise, h.device)
