"""Rows to train on, and what the frozen part of the model makes of them."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from driftune.models.adapters.devices import (
    Chunk,
    DeviceMemoryError,
    held_on,
    lacks_memory,
    moved,
    needing,
    say_once,
)
from driftune.models.adapters.feeding import over_chunks

CHUNK = 1 << 15


@dataclass(frozen=True)
class Examples:
    """Rows of many domains, in any order.

    ``inputs``: the model's arguments, each with the rows first; ``labels``: what the loss takes,
    (rows,) each; ``domains`` (rows,): ids as ``AdaptedModel.slots`` gives them; ``fresh``
    (rows, k): ids that the base has never seen, −1 where there is none.

    Raises:
        ValueError: when they are not tensors, or differ in their number of rows.
    """

    inputs: tuple[Tensor, ...]
    labels: tuple[Tensor, ...]
    domains: Tensor
    fresh: Tensor | None = None

    def __post_init__(self) -> None:
        for name in ("inputs", "labels"):
            value = getattr(self, name)
            if not isinstance(value, tuple | list):
                raise ValueError(f"{name} is a {type(value).__name__}; give a tuple: ({name},)")
            for number, each in enumerate(value):
                if not isinstance(each, Tensor) or each.ndim == 0:
                    raise ValueError(
                        f"{name}[{number}] is a {type(each).__name__}; it must be a tensor with "
                        "the rows first: wrap a model that takes anything else in one that takes "
                        "tensors by position"
                    )
        counts = {len(each) for each in self.tensors()}
        if len(counts) > 1:
            raise ValueError(
                f"{len(self.domains)} domain ids, but inputs of "
                f"{[len(each) for each in self.inputs]} and labels of "
                f"{[len(each) for each in self.labels]} rows"
            )

    def __len__(self) -> int:
        return len(self.domains)

    def tensors(self) -> tuple[Tensor, ...]:
        """All tensors, each with the rows first."""
        own = () if self.fresh is None else (self.fresh,)
        return (*self.inputs, *self.labels, self.domains, *own)

    def take(self, rows: Tensor | slice) -> "Examples":
        """The rows at these positions."""
        return Examples(
            tuple(each[rows] for each in self.inputs),
            tuple(each[rows] for each in self.labels),
            self.domains[rows],
            None if self.fresh is None else self.fresh[rows],
        )

    def judged_on(self, device: torch.device) -> "Examples":
        """The rows with all but the model's inputs on a device: labels, domains and ``fresh``."""
        with needing(device, "the labels of the rows"):
            return Examples(
                self.inputs,
                tuple(moved(each, device) for each in self.labels),
                moved(self.domains, device),
                None if self.fresh is None else moved(self.fresh, device),
            )

    def split(self, first: int) -> tuple["Examples", "Examples"]:
        """The first rows, and the rest: older and newest ones where they are in order of time."""
        return self.take(slice(0, first)), self.take(slice(first, None))

    def rows_of(self, slot: int) -> Tensor:
        """Positions of one domain's rows."""
        return torch.nonzero(self.domains == slot).squeeze(1)


class Kept:
    """What lies below the adapters, for any rows: kept where it fits into memory, else made anew.

    ``below`` computes on ``device``, by default that of the examples' domain ids. Where its values
    are not kept, the inputs themselves lie there if they take ``resident`` bytes at most, else a
    batch of them is copied. ``size``: bytes that are kept, 0 where they are made anew for every
    batch.
    """

    def __init__(
        self,
        examples: Examples,
        below: Callable[..., tuple[Tensor, ...]],
        most: int,
        device: torch.device | None = None,
        resident: int = 0,
    ) -> None:
        self._inputs, self._below = examples.inputs, below
        self._device = examples.domains.device if device is None else device
        self._values: tuple[Tensor, ...] | None = None
        self.size = 0
        rows = len(examples)
        if rows and most > 0:
            self._keep(rows, most)
        if self._values is None:
            self._inputs = held_on(self._inputs, self._device, resident, "the rows to train on")

    @torch.no_grad()
    def _keep(self, rows: int, most: int) -> None:
        """Keep the values of all rows, unless they take more bytes or more than there are."""
        few = (moved(each[: min(rows, 64)], self._device) for each in self._inputs)
        probe = self._below(*few)
        row = sum(each.element_size() * each[0].numel() for each in probe)
        if row * rows > most:
            return

        def fill(first: int, *part: Tensor) -> None:
            for whole, found in zip(values, self._below(*part), strict=True):
                whole[first : first + len(part[0])] = found

        try:
            # Filled in place: chunks joined at the end would need twice the memory for a moment.
            values = tuple(each.new_empty((rows, *each.shape[1:])) for each in probe)
            over_chunks(self._inputs, self._device, Chunk(CHUNK, "the frozen pass"), fill)
        except RuntimeError as error:
            if not (lacks_memory(error) or isinstance(error, DeviceMemoryError)):
                raise
            say_once(f"{self._device}: no memory to keep the frozen pass, which is made every time")
            return
        self._values, self.size = values, row * rows

    def take(self, rows: Tensor) -> tuple[Tensor, ...]:
        """The values of the rows at these positions, which lie on the device."""
        if self._values is not None:
            return tuple(each.index_select(0, rows) for each in self._values)
        own = rows.to(self._inputs[0].device)
        part = (moved(each.index_select(0, own), self._device) for each in self._inputs)
        with torch.no_grad():
            return self._below(*part)

    def empty(self, rows: Tensor, count: int) -> tuple[Tensor, ...]:
        """Room on the device for the values of ``count`` rows such as the first of ``rows``."""
        values = self._values or self.take(rows[:1])
        return tuple(each.new_empty((count, *each.shape[1:])) for each in values)

    def fill(self, room: tuple[Tensor, ...], start: int, rows: Tensor) -> None:
        """Put the values of the rows at these positions into ``room``, from ``start`` on."""
        parts = tuple(whole[start : start + len(rows)] for whole in room)
        if self._values is None:
            for part, value in zip(parts, self.take(rows), strict=True):
                part.copy_(value)
            return
        for part, value in zip(parts, self._values, strict=True):
            torch.index_select(value, 0, rows, out=part)
