"""Signals over categories: which were shown, which were clicked, and at which rate."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from driftune.drift.compare import Windows
from driftune.drift.signals.base import Facts, Move
from driftune.drift.signals.counted import CategoricalSignal

if TYPE_CHECKING:
    from driftune.drift.profiles import Profile


@dataclass(frozen=True)
class CategoryMix(CategoricalSignal):
    """The mix of categories among impressions or clicks; ``part``: of the profile."""

    part: Literal["shown", "clicked"] = "shown"

    def counts(self, windows: Windows, profile: "Profile") -> np.ndarray:
        """See ``CountedSignal.counts``."""
        return windows.by_category(profile, self.part)

    def labels(self, windows: Windows, names: Mapping[int, str]) -> list[str]:
        """See ``CategoricalSignal.labels``."""
        return windows.group_names(names)


@dataclass(frozen=True)
class CategoryRate(CategoricalSignal):
    """The click rate of each category; cells are its impressions without and with a click."""

    def counts(self, windows: Windows, profile: "Profile") -> np.ndarray:
        """See ``CountedSignal.counts``."""
        shown, clicked = (windows.by_category(profile, part) for part in ("shown", "clicked"))
        return np.stack([shown - clicked, clicked], axis=1).ravel()

    def adjusted(self, windows: Windows, counts: np.ndarray) -> np.ndarray:
        """Click rates at the reference's mix of categories.

        (Direct standardisation: a change of what is shown must not look like one of the rates.)
        """
        pairs = counts.reshape(*counts.shape[:-1], -1, 2)
        totals = pairs.sum(axis=-1, keepdims=True)
        rates = np.divide(pairs, totals, out=np.zeros_like(pairs, dtype=float), where=totals > 0)
        size = counts.sum(axis=-1)[..., None, None]
        return np.asarray((rates * windows.category_mix[:, None] * size).reshape(counts.shape))

    def labels(self, windows: Windows, names: Mapping[int, str]) -> list[str]:
        """See ``CategoricalSignal.labels``."""
        groups = windows.group_names(names)
        return [f"{name}: {label}" for name in groups for label in ("not clicked", "clicked")]

    def facts(self, windows: Windows, names: Mapping[int, str]) -> Facts | None:
        """Click rates per category; ``weight`` is the share of the day's impressions."""
        now, then = (counts.reshape(-1, 2) for counts in self.pair(windows))
        shown = now.sum(axis=1) / max(now.sum(), 1.0)
        rows: list[Move] = [
            {
                "name": name,
                "from": float(then[place, 1] / then[place].sum()),
                "to": float(now[place, 1] / now[place].sum()),
                "weight": float(shown[place]),
            }
            for place, name in enumerate(windows.group_names(names))
            if min(now[place].sum(), then[place].sum()) > 0
        ]
        return {"rows": rows}

    def say_move(self, row: Move) -> str:
        """See ``Signal.say_move``."""
        return f"{row['name']} {row['from']:.1%} → {row['to']:.1%}"

    def moved_by(self, row: Move) -> float:
        """See ``Signal.moved_by``."""
        return row["weight"] * abs(row["to"] - row["from"])
