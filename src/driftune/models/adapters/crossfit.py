"""Cross-fitting over blocks of time: each block of the selection rows is left out in its turn.

What was never trained on chooses start, window, β and epochs, and all rows train in the end.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from driftune.models.adapters.examples import Examples
from driftune.models.adapters.learners import Learner, Own


class Fitted(NamedTuple):
    """What the folds have chosen.

    ``part``: the number of start and window, window by window of each start; ``beta``: that of β;
    ``losses``: the mean loss of all blocks before training and after each epoch that all folds
    have run; ``epochs``: how many of them are best.
    """

    part: int
    beta: int
    epochs: int
    losses: list[float]


def join(one: Examples, other: Examples) -> Examples:
    """The rows of both, one after the other."""
    return Examples(
        tuple(map(_joined, one.inputs, other.inputs)),
        tuple(map(_joined, one.labels, other.labels)),
        _joined(one.domains, other.domains),
        None if one.fresh is None or other.fresh is None else _joined(one.fresh, other.fresh),
    )


def folds_of(older: Tensor, newest: Tensor, folds: int) -> list[Own]:
    """For each fold the positions, in joined rows, that train and that select: a block of time.

    ``older`` (rows,): positions of those that train in every fold; ``newest`` (rows,): those among
    the selection rows, in the order of time.
    """
    first = len(older) + int(older[0])
    blocks = (newest + first).tensor_split(folds)
    found = []
    for number, block in enumerate(blocks):
        others = [each for other, each in enumerate(blocks) if other != number]
        found.append(Own(torch.cat([older, *others]), block))
    return found


def fit_folds(learners: Sequence[Learner], folds: int, betas: int) -> Fitted:
    """Choose by the mean loss over all blocks; the first of equal ones.

    ``learners``: for each start and window, each fold, each β, in this order.
    """
    found: list[Fitted] = []
    for number in range(len(learners) // folds):
        part, beta = divmod(number, betas)
        own = [learners[(part * folds + fold) * betas + beta] for fold in range(folds)]
        found.append(_mean(part, beta, own))
    return min(found, key=lambda each: each.losses[each.epochs])


def _mean(part: int, beta: int, learners: Sequence[Learner]) -> Fitted:
    """The mean curve of the folds' losses, and where it is lowest."""
    counts = [len(learner.select_rows) for learner in learners]
    length = min(len(learner.losses) for learner in learners)
    losses = [
        sum(n * learner.losses[epoch] for n, learner in zip(counts, learners, strict=True))
        / sum(counts)
        for epoch in range(length)
    ]
    return Fitted(part, beta, min(range(length), key=losses.__getitem__), losses)


def _joined(one: Tensor, other: Tensor) -> Tensor:
    return torch.cat([one, other])
