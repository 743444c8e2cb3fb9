"""The part of a model from its adapters on, with the loss of its output: what a step runs."""

import sys
from collections.abc import Callable

import torch
from torch import Tensor

from driftune.models.adapters.devices import Chunk, computing
from driftune.models.adapters.folding import Pass
from driftune.models.adapters.losses import Loss
from driftune.models.adapters.outputs import Apply, Output, in_full
from driftune.models.adapters.split import Split


class Upper:
    """Losses of rows by the model's upper half, on its ``device``, in the training's precision.

    ``stacked`` and ``judged``: the most rows of several learners in a step, and in a judgement.
    """

    def __init__(self, halves: Split, loss: Loss, precision: str, device: torch.device) -> None:
        self.above, self.folded, self.loss = halves.above, halves.folded, loss
        self.device, self._precision = device, precision
        self.stacked = Chunk(sys.maxsize, "a step of several domains")
        self.judged = Chunk(sys.maxsize, "the selection rows of several domains")

    def losses(
        self, apply: Apply, values: tuple[Tensor, ...], labels: tuple[Tensor, ...], *, train: bool
    ) -> Tensor:
        """Loss of each row, (rows,), of what lies below the adapters; ``train``: with gradients.

        Raises:
            ValueError: when the loss does not give one value per row.
        """
        return self._losses(self.above, apply, values, labels, train)

    def folded_losses(
        self, call: Pass, values: tuple[Tensor, ...], labels: tuple[Tensor, ...], *, train: bool
    ) -> Tensor:
        """The same by the folded half, which there must be."""
        assert self.folded is not None
        return self._losses(self.folded, call, values, labels, train)

    def _losses(
        self,
        half: Callable[..., Output],
        call: Apply | Pass,
        values: tuple[Tensor, ...],
        labels: tuple[Tensor, ...],
        train: bool,
    ) -> Tensor:
        with torch.set_grad_enabled(train):
            with computing(self.device, self._precision):
                output = half(call, *values)
            found = self.loss(in_full(output), labels)
        rows = len(values[0])
        if found.shape != (rows,):
            raise ValueError(
                f"the loss gives {tuple(found.shape)} for {rows} rows; "
                "it must give one value per row"
            )
        return found
