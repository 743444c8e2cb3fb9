"""Signals over other cells without an order: hours, new items, clicks, kinds of items."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from driftune.drift.compare import Windows
from driftune.drift.signals.base import Facts, Move
from driftune.drift.signals.counted import CategoricalSignal, shares

if TYPE_CHECKING:
    from driftune.drift.profiles import Profile


@dataclass(frozen=True)
class Hours(CategoricalSignal):
    """The hours of the day in which impressions were shown."""

    def counts(self, windows: Windows, profile: "Profile") -> np.ndarray:
        """See ``CountedSignal.counts``."""
        return profile.parts["hour"]

    def labels(self, windows: Windows, names: Mapping[int, str]) -> list[str]:
        """See ``CategoricalSignal.labels``."""
        return [f"{hour:02d}" for hour in range(24)]

    def say_move(self, row: Move) -> str:
        """See ``Signal.say_move``."""
        return CategoricalSignal.say_move(self, {**row, "name": f"{row['name']}:00"})


@dataclass(frozen=True)
class ItemKinds(CategoricalSignal):
    """The regions of the item embedding that clicks fall into; they have no names to say."""

    def counts(self, windows: Windows, profile: "Profile") -> np.ndarray:
        """See ``CountedSignal.counts``."""
        return profile.parts["taste"]

    def labels(self, windows: Windows, names: Mapping[int, str]) -> list[str]:
        """See ``CategoricalSignal.labels``."""
        return [f"kind {number + 1}" for number in range(len(windows.current.parts["taste"]))]

    def moved_by(self, row: Move) -> None:
        """No kind is named."""


@dataclass(frozen=True)
class OneShare(CategoricalSignal):
    """Two cells, told as the share of the second one."""

    def facts(self, windows: Windows, names: Mapping[int, str]) -> Facts | None:
        """See ``Signal.facts``."""
        now, then = self.pair(windows)
        return {"from": float(shares(then)[1]), "to": float(shares(now)[1])}


@dataclass(frozen=True)
class NewItems(OneShare):
    """Impressions of items that the reference days of the encoder do not have."""

    def counts(self, windows: Windows, profile: "Profile") -> np.ndarray:
        """See ``CountedSignal.counts``."""
        return profile.parts["novelty"]

    def labels(self, windows: Windows, names: Mapping[int, str]) -> list[str]:
        """See ``CategoricalSignal.labels``."""
        return ["known item", "new item"]


@dataclass(frozen=True)
class ClickRate(OneShare):
    """Impressions with and without a click."""

    def counts(self, windows: Windows, profile: "Profile") -> np.ndarray:
        """See ``CountedSignal.counts``."""
        return np.array([profile.rows - profile.clicks, profile.clicks], dtype=float)

    def labels(self, windows: Windows, names: Mapping[int, str]) -> list[str]:
        """See ``CategoricalSignal.labels``."""
        return ["not clicked", "clicked"]
