"""The part of a model from its adapters on, with the loss of its output: what a step runs."""

from collections.abc import Callable

import torch
from torch import Tensor

from driftune.models.adapters.losses import Loss
from driftune.models.adapters.outputs import Apply, Output


class Upper:
    """Losses of rows by the model's upper half, in the training's precision."""

    def __init__(
        self, above: Callable[..., Output], loss: Loss, precision: str, device: str
    ) -> None:
        self.above, self.loss = above, loss
        self._half, self._device = precision == "bf16", device

    def losses(
        self, apply: Apply, values: tuple[Tensor, ...], labels: tuple[Tensor, ...], *, train: bool
    ) -> Tensor:
        """Loss of each row, (rows,), of what lies below the adapters; ``train``: with gradients.

        Raises:
            ValueError: when the loss does not give one value per row.
        """
        half = torch.autocast(self._device, dtype=torch.bfloat16, enabled=self._half)
        with torch.set_grad_enabled(train), half:
            found = self.loss(self.above(apply, *values), labels)
        rows = len(values[0])
        if found.shape != (rows,):
            raise ValueError(
                f"the loss gives {tuple(found.shape)} for {rows} rows; "
                "it must give one value per row"
            )
        return found
