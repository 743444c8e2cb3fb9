"""Attach a bank of kernels to a frozen model, at a module named by its path."""

import threading
from typing import Any, Self

from torch import Tensor, nn

from driftune.models.adapters.bank import AdapterBank


class AttachError(ValueError):
    """The bank cannot be attached there, or the module's output does not fit it."""


class AdaptedModel(nn.Module):
    """A frozen model whose representation passes an adapter bank, row by row.

    Slots belong to one call in one thread; a call of ``model`` itself takes the base path.
    """

    def __init__(self, model: nn.Module, bank: AdapterBank, at: str) -> None:
        super().__init__()
        modules = {name: module for name, module in model.named_modules() if name}
        if at not in modules:
            names = ", ".join(sorted(modules)) or "none"
            raise AttachError(f"no module '{at}' to attach to; there are: {names}")
        self.model, self.bank, self.at = model, bank, at
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        self._call = threading.local()
        self._handle = modules[at].register_forward_hook(self._adapt)
        self._attached = True
        self.train(False)

    def train(self, mode: bool = True) -> Self:
        """Set the mode of this wrapper; the frozen model and the bank stay in evaluation."""
        super().train(mode)
        self.model.eval()
        self.bank.eval()
        return self

    def forward(self, slots: Tensor, *args: Any, **kwargs: Any) -> Any:
        """The model's output, each row adapted by the kernel in its slot (rows,).

        Raises:
            AttachError: when the bank is detached, the module's output does not fit, or the
                model's forward does not reach the module.
        """
        if not self._attached:
            raise AttachError(f"the bank is detached from '{self.at}'; call the model itself")
        call, before = self._call, getattr(self._call, "slots", None)
        call.slots, call.reached = slots, False
        try:
            output = self.model(*args, **kwargs)
            if not call.reached:
                raise AttachError(f"the model's forward does not reach '{self.at}'")
            return output
        finally:
            call.slots = before

    def detach(self) -> None:
        """Remove the hook; the model stays frozen and in evaluation mode."""
        self._handle.remove()
        self._attached = False

    def _adapt(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
        slots = getattr(self._call, "slots", None)
        if slots is None:
            return output
        self._call.reached = True
        if not isinstance(output, Tensor):
            raise AttachError(f"'{self.at}' gives a {type(output).__name__}, not a tensor")
        try:
            return self.bank(output, slots)
        except ValueError as error:
            raise AttachError(f"'{self.at}': {error}") from None


def attach(model: nn.Module, bank: AdapterBank, at: str = "representation") -> AdaptedModel:
    """Freeze ``model`` for good and adapt the output (rows, width) of its module ``at``.

    Raises:
        AttachError: when the model has no such module; the message lists those that it has.
    """
    return AdaptedModel(model, bank, at)
