"""The section ``drift`` of params.yaml: windows, signals, and when drift triggers."""

from typing import Literal

from pydantic import Field, model_validator

from driftune.config.base import Positive, Section


class MinEffect(Section):
    """What a signal must move by, beyond the usual, to matter: logits, AUC, distance of mixes."""

    calibration: float = Field(0.05, ge=0)
    auc: float = Field(0.003, ge=0)
    distance: float = Field(0.05, ge=0)


class Confirm(Section):
    """Weaker evidence (``p``) triggers when it is seen on ``days`` of the last ``of`` days."""

    days: Positive = 2
    of: Positive = 3
    p: float = Field(0.01, gt=0, lt=1)

    @model_validator(mode="after")
    def _possible(self) -> "Confirm":
        if self.days > self.of:
            raise ValueError("days must not be more than of")
        return self


class Drift(Section):
    """Windows of fixed size per domain and day, their signals, and the policy that decides."""

    sample_rows: Positive = 20_000
    min_rows: Positive = 500
    min_clicks: Positive = 50
    reference_days: int = Field(28, ge=3)
    weekday_days: Positive = 2
    top_categories: Positive = 12
    triggers: list[Literal["calibration", "auc"]] = Field(["calibration", "auc"], min_length=1)
    fdr: float = Field(0.05, gt=0, lt=1)
    alpha: float = Field(0.001, gt=0, lt=1)
    min_effect: MinEffect = MinEffect()
    confirm: Confirm = Confirm()
    cooldown_days: int = Field(1, ge=0)
    follow_up_days: list[Positive] = [1, 2, 4]
    max_age_days: Positive | None = None
    html: Literal["alerts", "all", "never"] = "alerts"
    keep_pages_days: Positive = 90
    snapshots: bool = False
