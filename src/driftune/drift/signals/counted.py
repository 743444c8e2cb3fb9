"""Signals that compare how the rows of two windows are spread over cells, as Evidently does."""

import hashlib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from driftune.drift.compare import Windows
from driftune.drift.readings import Pairs, Reading, pairs_of_days
from driftune.drift.signals.base import Facts, Move, Signal
from driftune.drift.statistics import jensen_shannon, wasserstein

if TYPE_CHECKING:
    from driftune.drift.profiles import Profile

DRAWS = 100


@dataclass(frozen=True)
class CountedSignal(Signal):
    """A signal whose windows are counts over cells."""

    @abstractmethod
    def counts(self, windows: Windows, profile: "Profile") -> np.ndarray:
        """The counts (cells,) of one window that are compared."""

    @abstractmethod
    def spread(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Distances of counts over the last axis, as Evidently measures them."""

    def pooled(self, windows: Windows, days: Sequence[date]) -> np.ndarray:
        """The counts (cells,) over several reference days."""
        return np.asarray(sum(self.counts(windows, windows.reference[day]) for day in days))

    def adjusted(self, windows: Windows, counts: np.ndarray) -> np.ndarray:
        """Counts (…, cells) as they are compared."""
        return counts

    def distance(self, windows: Windows, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Distances (…,) of adjusted counts (…, cells)."""
        return self.spread(self.adjusted(windows, left), self.adjusted(windows, right))

    def pair(self, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
        """The counts of the day, and of its reference."""
        days = windows.comparable_days(settled=self.of_champion)
        return self.counts(windows, windows.current), self.pooled(windows, days)

    def reading(self, windows: Windows) -> Reading | None:
        """See ``Signal.reading``."""
        days = windows.reference_days(settled=self.of_champion)
        if not days:
            return None
        by_day = np.array([self.counts(windows, windows.reference[day]) for day in days])
        now, then = self.pair(windows)
        if min(now.sum(), then.sum()) == 0:
            return None
        unit, freedom = self._chance(windows, by_day.sum(axis=0), int(now.sum()), int(then.sum()))

        def pairs(left: np.ndarray, right: np.ndarray, number: np.ndarray) -> Pairs:
            sizes = 1 / np.maximum(left.sum(axis=-1), 1) + 1 / np.maximum(right.sum(axis=-1), 1)
            square = self.distance(windows, left, right) ** 2
            return Pairs(square, unit * sizes, 1 + 1 / number).usable()

        def among(same_weekday: bool) -> Pairs:
            found = pairs_of_days(days, same_weekday)
            if not len(found):
                return Pairs.none()
            others = np.array([by_day[other].sum(axis=0) for other in found.right])
            return pairs(by_day[found.left], others, found.others)

        used = windows.comparable_days(settled=self.of_champion)
        today = pairs(now[None], then[None], np.array([len(used)]))
        if not len(today):
            return None
        is_matched = windows.is_matched(settled=self.of_champion)
        return Reading(today, among(True), among(False), freedom, is_matched)

    def _chance(
        self, windows: Windows, pool: np.ndarray, now: int, then: int
    ) -> tuple[float, float]:
        """Squared distance of samples of one distribution, per 1/n + 1/m, and its freedom.

        From resampled windows of the pooled reference; degrees of freedom by the first two moments
        (Satterthwaite, Biometrics Bulletin 2, 1946).
        """
        held = pool > 0
        shares = pool[held] / pool.sum()
        text = f"{windows.seed} {windows.key} {self.name}"
        rng = np.random.default_rng(int(hashlib.sha256(text.encode()).hexdigest()[:16], 16))
        sides = np.zeros((2, DRAWS, len(pool)))
        for side, size in enumerate((now, then)):
            sides[side][:, held] = rng.multinomial(size, shares, DRAWS)
        squares = self.distance(windows, sides[0], sides[1]) ** 2
        squares = squares[np.isfinite(squares)]
        if not squares.size or squares.mean() <= 0:
            # One cell alone: only what is new can be a distance, and one row of it is half chance.
            return 1.0, 1.0
        freedom = 2 * squares.mean() ** 2 / max(squares.var(), 1e-300)
        return squares.mean() / (1 / now + 1 / then), max(1.0, float(freedom))


@dataclass(frozen=True)
class CategoricalSignal(CountedSignal):
    """Cells without an order: Jensen–Shannon distance (see ``statistics.jensen_shannon``)."""

    evidently = "jensenshannon"

    @abstractmethod
    def labels(self, windows: Windows, names: Mapping[int, str]) -> list[str]:
        """What the cells stand for, no two alike; ``names`` are those of category cells."""

    def spread(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """See ``CountedSignal.spread``."""
        return jensen_shannon(left, right)

    def facts(self, windows: Windows, names: Mapping[int, str]) -> Facts | None:
        """The share of each cell that has rows."""
        now, then = (shares(counts) for counts in self.pair(windows))
        rows: list[Move] = [
            {"name": label, "from": float(before), "to": float(after)}
            for label, before, after in zip(self.labels(windows, names), then, now, strict=True)
            if before or after
        ]
        return {"rows": rows}


@dataclass(frozen=True)
class NumericalSignal(CountedSignal):
    """Cells that stand for values: Wasserstein distance in the reference's standard deviations."""

    evidently = "wasserstein"

    @abstractmethod
    def values(self) -> np.ndarray:
        """The value (cells,) in the middle of each cell."""

    def spread(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """See ``CountedSignal.spread``."""
        return wasserstein(left, right, self.values())


def shares(counts: np.ndarray) -> np.ndarray:
    """Counts (cells,) as shares of their sum."""
    return np.asarray(counts / max(counts.sum(), 1.0))


def mean(counts: np.ndarray, values: np.ndarray) -> float | None:
    """The mean of the values by counts (cells,); None without a row."""
    return float(counts @ values / counts.sum()) if counts.sum() else None
