"""How a challenger was trained: its figures and the split of its rows by time."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import ClassVar

from pydantic import Field

from driftune.registry.records.base import Document, Figure, Record


class Span(Record):
    """Rows between two instants: ISO 8601 in UTC without an offset, of the first and last row."""

    rows: int | None = None
    first: str | None = Field(None, validation_alias="from", serialization_alias="from")
    last: str | None = Field(None, validation_alias="to", serialization_alias="to")

    @property
    def begins(self) -> datetime | None:
        """The first row's instant."""
        return _instant(self.first)

    @property
    def ends(self) -> datetime | None:
        """The last row's instant."""
        return _instant(self.last)


class SplitSpans(Record):
    """Which rows train a challenger, which choose its epoch, which judge it."""

    train: Span | None = None
    select: Span | None = None
    gate: Span | None = None

    def parts(self) -> Iterator[tuple[str, Span]]:
        """The spans that are known, by name, in the order of time."""
        for name, span in (("train", self.train), ("select", self.select), ("gate", self.gate)):
            if span is not None:
                yield name, span


class TrainingFigures(Document):
    """What a fine-tuning did. ``started_from`` is the version that it started from; 0 is anew.

    ``pooled``: SHA-256 of the pooled adapter that it could start from, None where there was none;
    ``start``: which it did start from, then, ``pooled`` or ``champion`` (a new one where there was
    no champion). ``at``: the places of its kernels, where they were chosen.
    ``trainer``: the kind of job of the user's own that did it, None of the built-in one;
    ``reported``: figures that such a job gave of itself, which nobody has checked.
    """

    NAME: ClassVar[str] = "training figures"

    started_from: int | None = None
    pooled: str | None = None
    start: str | None = None
    at: tuple[str, ...] | None = None
    split: SplitSpans | None = None
    beta: Figure = None
    best_epoch: int | None = None
    epochs: int | None = None
    kl_bits: Figure = None
    parameters: int | None = None
    seconds: Figure = None
    trainer: str | None = None
    reported: dict[str, float] = Field(default_factory=dict)


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)
