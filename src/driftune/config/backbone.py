"""The section ``backbone`` of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field

from driftune.config.base import Positive, Section


class Backbone(Section):
    """The ESMM backbone and its pre-training."""

    embedding: Positive = 8
    """Size of an embedding."""
    hidden: list[Positive] = [128, 64]
    """Sizes of the hidden layers of each tower."""
    epochs: Positive = 2
    """Passes over the reference rows."""
    batch_size: Positive = 512
    """Rows of a batch, over all processes."""
    learning_rate: float = Field(2e-3, gt=0)
    """Learning rate of Adam."""
    weight_decay: float = Field(1e-5, ge=0)
    """Weight decay."""
    id_dropout: Literal["auto"] | Annotated[float, Field(ge=0, le=0.5)] = "auto"
    """Share of the training rows that read a known id as unknown, by field, so that what stands
    for unknown ids is trained; `auto`: as many as the held-out rows have more of them than the
    training rows, at most 0.1. A number is for fields of which held-out rows have any."""
