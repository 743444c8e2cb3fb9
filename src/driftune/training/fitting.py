"""Training a model on rows, batch by batch, on one process or several."""

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import torch
from torch import Tensor

from driftune.config import Config
from driftune.models.adapters import esmm_loss
from driftune.models.recommender import Recommender
from driftune.training.ranks import ALONE, Ranks
from driftune.training.rows import Rows
from driftune.training.unknown import IdDropout

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class _Part:
    """A part of a batch, see ``EncodedRows``."""

    ids: Tensor
    numbers: Tensor
    table: pa.Table


def fit(
    config: Config,
    model: Recommender,
    rows: Rows,
    dropout: IdDropout | None = None,
    progress: Progress | None = None,
    group: Ranks = ALONE,
) -> list[float]:
    """Train the model in place on the rows, as ``backbone`` says; returns the epochs' losses.

    Several ranks share each batch, so that ``batch_size`` is that of all of them together.
    """
    settings = config.backbone
    optimiser = torch.optim.Adam(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    order, draws = (torch.Generator().manual_seed(config.seed + n) for n in range(2))
    batches = -(-len(rows) // settings.batch_size)
    losses = []
    model.train()
    shared = group.together(model)
    for epoch in range(settings.epochs):
        shuffled = torch.randperm(len(rows), generator=order)
        total = 0.0
        for number, batch in enumerate(torch.split(shuffled, settings.batch_size)):
            # All ranks draw for all rows of the batch, so that one process draws the same.
            ids = rows.ids[batch] if dropout is None else dropout(rows.ids[batch], draws)
            place, weight = group.part(torch.arange(len(batch)))
            own = batch[place]
            inputs = model.inputs(_Part(ids[place], rows.numbers[own], rows.table))
            *taken, click, convert = (
                each.to(group.device) for each in (*inputs, rows.click[own], rows.convert[own])
            )
            clicks, converts = shared(*taken)
            loss = esmm_loss(clicks, converts, click, convert)
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(loss * weight)
            optimiser.step()
            total += float(loss.detach()) * (weight * len(batch) / group.size)
            if progress and number % 50 == 0:
                progress("training", epoch * batches + number, settings.epochs * batches)
        losses.append(round(group.sum(total) / max(1, len(rows)), 6))
    return losses
