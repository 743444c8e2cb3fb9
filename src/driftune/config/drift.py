"""The section ``drift`` of params.yaml: windows, signals, and when drift triggers."""

from typing import Literal

from pydantic import Field, model_validator

from driftune.config.base import Positive, Section
from driftune.config.triggers import Trigger


class MinEffect(Section):
    """What a signal must move by, beyond the usual, to matter: logits, AUC, distance of mixes."""

    calibration: float = Field(0.05, ge=0)
    """Logits."""
    auc: float = Field(0.003, ge=0)
    """AUC that the champion lost."""
    residuals: float = Field(0.05, ge=0)
    """Logits off the categories, and of pairs of rows of one user or item their square."""
    distance: float = Field(0.05, ge=0)
    """Every other signal, in its own unit."""


class Confirm(Section):
    """Weaker evidence (``p``) triggers when it is seen on ``days`` of the last ``of`` days."""

    days: Positive = 2
    """Days on which the evidence must be seen …"""
    of: Positive = 3
    """… among so many last days."""
    p: float = Field(0.01, gt=0, lt=1)
    """Largest p-value of such a day."""

    @model_validator(mode="after")
    def _possible(self) -> "Confirm":
        if self.days > self.of:
            raise ValueError("days must not be more than of")
        return self


class Drift(Section):
    """Windows of fixed size per domain and day, their signals, and the policy that decides."""

    sample_rows: Positive = 20_000
    """Rows of a domain and day that are looked at, drawn by a hash."""
    min_rows: Positive = 500
    """Impressions below which a domain is *insufficient*."""
    min_clicks: Positive = 50
    """Clicks below which it is."""
    reference_days: int = Field(28, ge=3)
    """Days of the reference window at most."""
    weekday_days: Positive = 2
    """Days of the same weekday that are needed to compare with these alone."""
    top_categories: Positive = 12
    """Categories that are compared by name; the others are one."""
    triggers: list[Literal["calibration", "auc", "residuals"] | Trigger] = Field(
        ["calibration", "auc"], min_length=1
    )
    """Signals that decide, by name, and what Evidently measures of a day."""
    fdr: float = Field(0.05, gt=0, lt=1)
    """False discovery rate over domains and deciding signals (Benjamini–Hochberg)."""
    alpha: float = Field(0.001, gt=0, lt=1)
    """Largest p-value of strong evidence."""
    min_effect: MinEffect = MinEffect()
    """Effect beyond the usual that a signal needs."""
    confirm: Confirm = Confirm()
    """When weaker evidence triggers."""
    cooldown_days: int = Field(1, ge=0)
    """Days after a switch of champion on which drift triggers nothing."""
    follow_up_days: list[Positive] = [1, 2, 4]
    """Days after a promotion by drift on which the domain is fine-tuned again."""
    max_age_days: Positive | None = None
    """Days after which a domain is fine-tuned without drift; null: never."""
    html: Literal["alerts", "all", "never"] = "alerts"
    """For which domains Evidently's page is written."""
    keep_pages_days: Positive = 90
    """Days that these pages are kept."""
    snapshots: bool = False
    """Write every day into an Evidently workspace."""

    @property
    def deciding(self) -> list[str]:
        """The signals that decide by their calibrated p-values."""
        return [entry for entry in self.triggers if isinstance(entry, str)]

    @property
    def measured(self) -> list[Trigger]:
        """The triggers that Evidently measures."""
        return [entry for entry in self.triggers if isinstance(entry, Trigger)]
