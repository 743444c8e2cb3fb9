"""Rows to train on, and what the frozen part of the model makes of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

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

    def split(self, first: int) -> tuple["Examples", "Examples"]:
        """The first rows, and the rest: older and newest ones where they are in order of time."""
        return self.take(slice(0, first)), self.take(slice(first, None))

    def rows_of(self, slot: int) -> Tensor:
        """Positions of one domain's rows."""
        return torch.nonzero(self.domains == slot).squeeze(1)


class Kept:
    """What lies below the adapters, for any rows: kept where it fits into memory, else made anew.

    ``size``: bytes that are kept, 0 where it is made anew for every batch.
    """

    def __init__(
        self, examples: Examples, below: Callable[..., tuple[Tensor, ...]], most: int
    ) -> None:
        self._examples, self._below = examples, below
        self._values: tuple[Tensor, ...] | None = None
        self.size = 0
        if len(examples) == 0 or most <= 0:
            return
        with torch.no_grad():
            probe = below(*(each[: min(len(examples), 64)] for each in examples.inputs))
            row = sum(each.element_size() * each[0].numel() for each in probe)
            if row * len(examples) > most:
                return
            # Filled in place: chunks joined at the end would need twice the memory for a moment.
            values = tuple(each.new_empty((len(examples), *each.shape[1:])) for each in probe)
            for start, part in self._chunks():
                for whole, found in zip(values, below(*part), strict=True):
                    whole[start : start + CHUNK] = found
        self._values = values
        self.size = row * len(examples)

    def take(self, rows: Tensor) -> tuple[Tensor, ...]:
        """The values of the rows at these positions."""
        if self._values is not None:
            return tuple(each.index_select(0, rows) for each in self._values)
        with torch.no_grad():
            return self._below(*(each.index_select(0, rows) for each in self._examples.inputs))

    def empty(self, rows: Tensor, count: int) -> tuple[Tensor, ...]:
        """Room for the values of ``count`` rows such as the first of ``rows``."""
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

    def _chunks(self) -> Iterator[tuple[int, tuple[Tensor, ...]]]:
        for start in range(0, len(self._examples), CHUNK):
            yield start, tuple(each[start : start + CHUNK] for each in self._examples.inputs)
