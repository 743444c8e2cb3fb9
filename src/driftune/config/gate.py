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
    """The metric that decides; the other one is the guardrail."""
    rule: Literal["interval", "expected_gain"] = "interval"
    """What shows a gain. `interval`: the interval of the difference above zero, and the minimum
    effect. `expected_gain`: the gain to be expected, after what earlier challengers gained, above
    zero, and a loss unlikely (see Explanation, The gate)."""
    max_loss: float = Field(0.003, ge=0, allow_inf_nan=False)
    """`expected_gain`: loss of the metric …"""
    max_loss_chance: float = Field(0.05, gt=0, lt=0.5)
    """… that may be so likely at most."""
    min_effect: float = Field(0.002, ge=0)
    """`interval`: AUC difference that the estimate must reach."""
    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Coverage of the interval that must lie above zero."""
    resamples: int = Field(1000, ge=200)
    """Bootstrap resamples of the users."""
    min_rows: Positive = 300
    """Rows below which there is no verdict."""
    min_positives: Positive = 30
    """Positive labels below which there is none."""
    min_users: Positive = 50
    """Users, and effective users, below which there is none."""
    guardrail_tolerance: float = Field(0.01, ge=0)
    """Loss of the other metric that may not be shown."""
    log_loss_tolerance: float = Field(0.02, ge=0, allow_inf_nan=False)
    """Rise of the log loss of clicks, as a share of the champion's, that may not be shown."""
    slice_tolerance: float = Field(0.003, ge=0)
    """Loss in a slice that may not be shown."""
    calibration_band: Annotated[tuple[float, float], RISING] = (0.7, 1.4)
    """Lowest and highest ratio of predicted to actual clicks."""
    label_delay_hours: float = Field(0.0, ge=0, allow_inf_nan=False)
    """Age of an impression at the day's end from which its labels count."""
    looks: Positive = 5
    """Days on which a challenger is judged at most."""
    wait: bool = True
    """Judge again one that may be better but is not shown to be."""
    correction: Literal["none", "day"] = "day"
    """`day`: the decisions of one day share the error; `none`: each has it."""
    off_policy_temperature: float = Field(1.0, gt=0, allow_inf_nan=False)
    """Temperature of the softmax by which a model would order a list."""
    min_effective_sample: Positive = 100
    """Effective impressions or users below which there is no off-policy estimate."""

    @property
    def label_days(self) -> int:
        """Days after a day's end at whose end all of that day's labels count."""
        return math.ceil(self.label_delay_hours / 24)
