"""What a recommender is to the loop: rows to tensors, tensors to logits, and places to adapt.

Whoever scores, fine-tunes or profiles talks to this; ``models.esmm`` is the built-in one.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Protocol, TypeAlias

from torch import Tensor, nn

from driftune.models.adapters import fingerprint

Shape: TypeAlias = Mapping[str, int | float | str | list[int]]


class EncodedRows(Protocol):
    """Impressions as the encoder leaves them: ids (rows, fields), numbers (rows, numbers)."""

    @property
    def ids(self) -> Tensor:
        """Encoded fields, (rows, fields)."""

    @property
    def numbers(self) -> Tensor:
        """Numbers, (rows, numbers)."""


class Recommender(nn.Module, ABC):
    """A model of clicks and conversions, frozen below the domains' adapters.

    Its ``forward`` takes the tensors that ``inputs`` gives, by position, and returns the logits of
    pCTR and of pCVR, (rows,) each. ``shape``: JSON-safe arguments that make the same model again.
    """

    shape: Shape
    precision: str = "fp32"
    """What it scores in: ``fp32``, or ``bf16`` by autocast."""

    @abstractmethod
    def inputs(self, rows: EncodedRows) -> tuple[Tensor, ...]:
        """The model's arguments for these rows, each with the rows first."""

    def click_logit(self, *inputs: Tensor) -> Tensor:
        """The logit of pCTR alone, (rows,); to be replaced where that takes less work."""
        click, _ = self(*inputs)
        logit: Tensor = click
        return logit

    def places(self) -> list[str]:
        """Names that ``adapter.at`` may choose: the paths of the modules, as PyTorch names them.

        A place's module gives floating-point tensors with the rows first, and the model calls it in
        every forward pass; ``attach`` and the first call refuse any other.
        """
        return [name for name, _ in self.named_modules() if name]

    def field_vectors(self, field: int) -> Tensor | None:
        """What the model has learned of each id of an encoded field, (ids, width).

        None where it holds no such table; drift then sees no regions of kindred items.
        """
        return None

    def fingerprint(self) -> str:
        """SHA-256 (hex) of the weights: adapters and profiles are made for it."""
        return fingerprint(self)
