"""The section ``adapter`` of params.yaml."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from driftune.config.base import Positive, Section

Betas = Annotated[
    list[Annotated[float, Field(ge=0, allow_inf_nan=False)]],
    BeforeValidator(lambda given: given if isinstance(given, list) else [given]),
]


class Adapter(Section):
    """The IAK adapter and its fine-tuning.

    It is trained on the last ``train_days`` days, or on those since drift began where that does
    better on the selection rows; once drift is older, on up to ``drift_days`` days since.
    """

    at: list[str] = Field(["click_tower.1", "convert_tower.1"], min_length=1)
    combine: Literal["residual", "replace"] = "residual"
    bottleneck: Positive = 12
    hidden: Positive = 16
    beta: Betas = Field([0.0, 1e-3], min_length=1)
    train_days: Positive = 3
    drift_days: Positive = 7
    select_share: float = Field(0.15, gt=0, lt=0.5)
    gate_share: float = Field(0.35, gt=0, lt=0.8)
    epochs: Positive = 12
    patience: Positive = 3
    batch_size: Positive = 256
    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
