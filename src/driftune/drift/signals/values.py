"""Signals over values: prices, and the champion's predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Literal

import numpy as np

from driftune.drift.cells import LOGITS, logit_values, price_values
from driftune.drift.compare import Windows
from driftune.drift.signals.base import Facts
from driftune.drift.signals.counted import NumericalSignal, mean

if TYPE_CHECKING:
    from driftune.drift.profiles import Profile


@dataclass(frozen=True)
class Prices(NumericalSignal):
    """The prices of impressions or clicks; ``part``: of the profile."""

    part: Literal["price_shown", "price_clicked"] = "price_shown"

    def counts(self, windows: Windows, profile: "Profile") -> np.ndarray:
        """See ``CountedSignal.counts``."""
        return profile.parts[self.part]

    def values(self) -> np.ndarray:
        """See ``NumericalSignal.values``."""
        return price_values()

    def facts(self, windows: Windows, names: Mapping[int, str]) -> Facts | None:
        """The mean price."""
        now, then = self.pair(windows)
        return {"from": mean(then, price_values()), "to": mean(now, price_values())}

    def say_figure(self, before: float, after: float) -> str:
        """See ``Signal.say_figure``."""
        return f"{self.label}: mean {before:.3g} → {after:.3g}"


@dataclass(frozen=True)
class Predictions(NumericalSignal):
    """The champion's predicted click probabilities, by their logit."""

    def counts(self, windows: Windows, profile: "Profile", part: str = "ranking") -> np.ndarray:
        """See ``CountedSignal.counts``; ``part`` names the rows that are ranked."""
        ranked = profile.parts[part]
        return np.asarray(ranked[:LOGITS] + ranked[LOGITS:])

    def pooled(self, windows: Windows, days: Sequence[date]) -> np.ndarray:
        """Predictions of rows that did not train the champion, where there are enough."""
        unseen = sum(
            self.counts(windows, windows.reference[day], "ranking_unseen") for day in windows.days
        )
        if np.sum(unseen) >= windows.min_rows:
            return np.asarray(unseen, dtype=float)
        return NumericalSignal.pooled(self, windows, days)

    def values(self) -> np.ndarray:
        """See ``NumericalSignal.values``."""
        return logit_values()

    def facts(self, windows: Windows, names: Mapping[int, str]) -> Facts | None:
        """The mean prediction."""
        chances = 1 / (1 + np.exp(-logit_values()))
        now, then = self.pair(windows)
        if not now.sum() or not then.sum():
            return None
        return {"from": mean(then, chances), "to": mean(now, chances)}

    def say_figure(self, before: float, after: float) -> str:
        """See ``Signal.say_figure``."""
        return f"{self.label}: mean {before:.1%} → {after:.1%}"
