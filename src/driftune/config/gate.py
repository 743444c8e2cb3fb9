"""The section ``gate`` of params.yaml: what a challenger must show before it is promoted."""

import math
from typing import Annotated, Literal

from pydantic import Field

from driftune.config.base import RISING, Positive, Section


class Gate(Section):
    """The offline A/B check: what a challenger must show before it is promoted.

    Labels of impressions younger than ``label_delay_hours`` at a day's end count from later days
    on. One that cannot be judged yet is judged again on later days, ``looks`` times in all; with
    ``wait`` also one that may be better but is not shown to be. ``correction`` holds the error of
    a day's decisions together.
    """

    metric: Literal["ctr_auc", "ctcvr_auc"] = "ctr_auc"
    min_effect: float = Field(0.002, ge=0)
    confidence: float = Field(0.95, gt=0.5, lt=1)
    resamples: int = Field(1000, ge=200)
    min_rows: Positive = 300
    min_positives: Positive = 30
    min_users: Positive = 50
    guardrail_tolerance: float = Field(0.01, ge=0)
    slice_tolerance: float = Field(0.003, ge=0)
    calibration_band: Annotated[tuple[float, float], RISING] = (0.7, 1.4)
    label_delay_hours: float = Field(0.0, ge=0, allow_inf_nan=False)
    looks: Positive = 5
    wait: bool = True
    correction: Literal["none", "day"] = "day"
    off_policy_temperature: float = Field(1.0, gt=0, allow_inf_nan=False)
    min_effective_sample: Positive = 100

    @property
    def label_days(self) -> int:
        """Days after a day's end at whose end all of that day's labels count."""
        return math.ceil(self.label_delay_hours / 24)
