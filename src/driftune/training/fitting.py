"""Training a model on rows, batch by batch, on one process or several."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa
import torch
from torch import Tensor

from driftune.config import Config
from driftune.errors import BackboneError
from driftune.models.adapters import esmm_loss
from driftune.models.adapters.devices import (
    Chunk,
    DeviceMemoryError,
    computing,
    held_on,
    lacks_memory,
    moved,
    needing,
    raised,
)
from driftune.models.recommender import Recommender
from driftune.training.ranks import ALONE, Ranks
from driftune.training.rows import Rows
from driftune.training.unknown import IdDropout

Progress = Callable[[str, int, int], None]
# Bytes of rows that may lie on the device; of more, batch after batch is copied.
RESIDENT = 1 << 31


@dataclass(frozen=True)
class _Part:
    """A part of a batch, see ``EncodedRows``."""

    ids: Tensor
    numbers: Tensor
    table: pa.Table


class _Batches:
    """The rows that are trained on, and the mean loss of those at given places."""

    def __init__(self, config: Config, model: Recommender, rows: Rows, group: Ranks) -> None:
        self.device = torch.device(group.device)
        self.precision = config.adapter.precision
        self.model, self.shared = model, group.together(model)
        self.ids, *self.others = held_on(
            (rows.ids, rows.numbers, rows.click, rows.convert),
            self.device,
            RESIDENT,
            "the rows of pre-training",
        )
        self.most = Chunk(sys.maxsize, "a batch of pre-training")
        self.alone = group.size == 1

    def ids_of(self, batch: Tensor) -> Tensor:
        """The encoded fields of a batch, where the rows lie."""
        return self.ids[moved(batch, self.ids.device)]

    def gradients(self, ids: Tensor, places: Tensor, weight: float) -> Tensor:
        """Leave the gradients of the mean loss of rows, times ``weight``; returns that loss.

        ``ids``: their encoded fields; ``places``: theirs among all rows. Where memory does not
        suffice, they are the sum of those of parts of the rows.

        Raises:
            DeviceMemoryError: when it does not suffice for few rows either.
        """
        places = moved(places, self.ids.device)
        while True:
            self.model.zero_grad(set_to_none=True)
            try:
                pieces = -(-len(places) // self.most.rows)
                return self._pieces(ids, places, weight, pieces)
            except RuntimeError as error:
                # Processes that share a batch take the same number of steps back.
                if not (self.alone and lacks_memory(error)):
                    raise
            self.most.halve(min(len(places), self.most.rows), self.device)

    def _pieces(self, ids: Tensor, places: Tensor, weight: float, pieces: int) -> Tensor:
        losses = []
        for own_ids, own in zip(ids.tensor_split(pieces), places.tensor_split(pieces), strict=True):
            numbers, click, convert = (each[own] for each in self.others)
            inputs = self.model.inputs(_Part(own_ids, numbers, pa.table({})))
            *taken, click, convert = (
                moved(each, self.device) for each in (*inputs, click, convert)
            )
            with computing(self.device, self.precision):
                clicks, converts = self.shared(*taken)
            loss = esmm_loss(raised(clicks), raised(converts), click, convert)
            share = len(own) / len(places)
            torch.autograd.backward(loss * (weight * share))
            losses.append(loss.detach() * share)
        return torch.stack(losses).sum()


def fit(
    config: Config,
    model: Recommender,
    rows: Rows,
    dropout: IdDropout | None = None,
    progress: Progress | None = None,
    group: Ranks = ALONE,
) -> list[float]:
    """Train the model in place on the rows, as ``backbone`` says; returns the epochs' losses.

    The model is moved to the group's device. Several ranks share each batch, so that
    ``batch_size`` is that of all of them together.

    Raises:
        BackboneError: when the device's memory does not suffice for few rows at once, or for
            the model.
    """
    settings = config.backbone
    order, draws = (torch.Generator().manual_seed(config.seed + n) for n in range(2))
    batches = -(-len(rows) // settings.batch_size)
    losses = []
    model.train()
    with _one_line(), needing(torch.device(group.device), "the backbone"):
        held = _Batches(config, model.to(group.device), rows, group)
    optimiser = torch.optim.Adam(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    for epoch in range(settings.epochs):
        shuffled = torch.randperm(len(rows), generator=order)
        seen, weights = list[Tensor](), list[float]()
        for number, batch in enumerate(torch.split(shuffled, settings.batch_size)):
            # All ranks draw for all rows of the batch, so that one process draws the same.
            ids = held.ids_of(batch)
            ids = ids if dropout is None else dropout(ids, draws)
            place, weight = group.part(torch.arange(len(batch)))
            with _one_line():
                loss = held.gradients(ids[moved(place, ids.device)], batch[place], weight)
                with needing(held.device, "a step of the optimiser"):
                    optimiser.step()
            # Read when the epoch is over: the device is not waited for before.
            seen.append(loss)
            weights.append(weight * len(batch) / group.size)
            if progress and number % 50 == 0:
                progress("training", epoch * batches + number, settings.epochs * batches)
        total = sum(one * each for one, each in zip(_floats(seen), weights, strict=True))
        losses.append(round(group.sum(total) / max(1, len(rows)), 6))
    return losses


@contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except DeviceMemoryError as error:
        raise BackboneError(str(error)) from None


def _floats(losses: list[Tensor]) -> list[float]:
    return torch.stack(losses).tolist() if losses else []
