"""What a recommender is to the loop: rows to tensors, tensors to logits, and places to adapt.

Whoever scores, fine-tunes or profiles talks to this; ``models.esmm`` is the built-in one, and
``models.own`` loads one of the user's.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import pyarrow as pa
from torch import Tensor, nn

from driftune.models.adapters import click_rows, esmm_rows, fingerprint
from driftune.models.adapters.losses import Loss

# Narrower layers, such as those that give a logit, are no good places by default.
NARROWEST = 8
_ATTENTION = nn.MultiheadAttention, nn.TransformerEncoderLayer, nn.TransformerDecoderLayer


class EncodedRows(Protocol):
    """Impressions as the loop has them: encoded, and as they were logged.

    ``recommender.columns`` says what the table holds: ``table["item"]``, and ``history_item``, a
    list of the items that the row's user met before, oldest first.
    """

    @property
    def ids(self) -> Tensor:
        """Encoded fields, (rows, fields), int64: 0 is null, then the buckets of unknown values."""

    @property
    def numbers(self) -> Tensor:
        """Standardised numbers and counters, (rows, numbers), float32."""

    @property
    def table(self) -> pa.Table:
        """Columns as they were logged."""


def first_click_rows(logits: Sequence[Tensor], labels: Sequence[Tensor]) -> Tensor:
    """``click_rows`` of the first logit, (rows,): of a model that gives two, where the log tells no
    conversions. That nothing is known of them must not read as that nobody buys."""
    return click_rows(logits[0], labels)


@dataclass(frozen=True)
class Schema:
    """What the rows of a project hold: encoded fields with their sizes, numbers, and the columns
    of the table. ``history``: events of a past at most, 0 where the model reads none."""

    fields: tuple[str, ...]
    sizes: tuple[int, ...]
    numbers: tuple[str, ...]
    columns: tuple[str, ...]
    history: int


class Recommender(nn.Module, ABC):
    """A model of clicks and conversions, frozen below the domains' adapters.

    Its ``forward`` takes the tensors that ``inputs`` gives, by position, and returns the logits of
    pCTR and of pCVR, (rows,) each; with ``conversions = False`` the logit of pCTR alone. The same
    inputs give the same logits in evaluation mode, whatever other rows are in the batch.
    """

    conversions: ClassVar[bool] = True
    precision: str = "fp32"
    """What it scores in: ``fp32``, or ``bf16`` by autocast."""
    converts: bool = True
    """Whether the log tells conversions (``columns.convert``); set when it is loaded."""

    @abstractmethod
    def inputs(self, rows: EncodedRows) -> tuple[Tensor, ...]:
        """The model's arguments for these rows, each with the rows first, on the CPU."""

    def click_logit(self, *inputs: Tensor) -> Tensor:
        """The logit of pCTR alone, (rows,); to be replaced where that takes less work."""
        output = self(*inputs)
        logit: Tensor = output[0] if self.conversions else output
        return logit

    def row_losses(self) -> Loss:
        """The loss by which adapters are trained: of clicks, and of conversions where the model
        has them and the log tells them."""
        if not self.conversions:
            return click_rows
        return esmm_rows if self.converts else first_click_rows

    def places(self) -> list[str]:
        """Names that ``adapter.at`` may choose: the paths of the modules, as PyTorch names them.

        A place's module gives floating-point tensors with the rows first, and the model calls it in
        every forward pass; ``attach`` and the first call refuse any other.
        """
        return [name for name, _ in self.named_modules() if name]

    def default_places(self) -> list[str]:
        """The places that ``adapter.at: auto`` stands for, to be replaced where others do better.

        The first linear layer of each part of the model that has one, but for narrow ones and for
        those of attention, which PyTorch calls in ways of its own.
        """
        found: dict[str, str] = {}
        attention = tuple(
            f"{name}." for name, part in self.named_modules() if isinstance(part, _ATTENTION)
        )
        for name, part in self.named_modules():
            wide = isinstance(part, nn.Linear) and part.out_features >= NARROWEST
            if wide and not name.startswith(attention):
                found.setdefault(name.partition(".")[0], name)
        return list(found.values())

    def field_vectors(self, field: int) -> Tensor | None:
        """What the model has learned of each id of an encoded field, (ids, width).

        None where it holds no such table; drift then sees no regions of kindred items.
        """
        return None

    def fingerprint(self) -> str:
        """SHA-256 (hex) of the weights: adapters and profiles are made for it."""
        return fingerprint(self)
