"""The section ``backbone`` of params.yaml."""

from pydantic import Field

from driftune.config.base import Positive, Section


class Backbone(Section):
    """The ESMM backbone and its pre-training."""

    embedding: Positive = 8
    hidden: list[Positive] = [128, 64]
    epochs: Positive = 2
    batch_size: Positive = 512
    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(1e-5, ge=0)
