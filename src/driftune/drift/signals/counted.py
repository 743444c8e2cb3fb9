"""Signals that compare how the rows of two windows are spread over cells, as Evidently does."""

import hashlib
from abc import abstractmethod
from collections import defaultdict
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
        """The counts (cells,) of the day, and of its reference."""
        if self.name not in windows.pairs:
            days = windows.comparable_days(settled=self.of_champion)
            counts = self.counts(windows, windows.current)
            windows.pairs[self.name] = counts, self.pooled(windows, days)
        return windows.pairs[self.name]

    def reading(self, windows: Windows) -> Reading | None:
        """See ``Signal.reading``."""
        return self.readings([windows])[0]

    def readings(self, many: Sequence[Windows]) -> list[Reading | None]:
        """See ``Signal.readings``; the distances of all domains' pairs are taken together."""
        compared = [self._compared(windows) for windows in many]
        there = [each for each in compared if each is not None]
        squares = iter([found**2 for found in self.spreads([each.adjusted for each in there])])
        return [None if each is None else each.reading(next(squares)) for each in compared]

    def spreads(self, pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[np.ndarray]:
        """Distances of many pairs of adjusted counts (rows, cells), each (rows,).

        Rows with as many cells are stacked; a row's distance does not depend on the others.
        """
        of_width: dict[int, list[int]] = defaultdict(list)
        for place, (left, _) in enumerate(pairs):
            of_width[left.shape[-1]].append(place)
        found: list[np.ndarray] = [np.zeros(0)] * len(pairs)
        for places in of_width.values():
            left, right = (np.concatenate([pairs[n][side] for n in places]) for side in (0, 1))
            ends = np.cumsum([len(pairs[n][0]) for n in places])
            for place, own in zip(places, np.split(self.spread(left, right), ends[:-1]), strict=True):
                found[place] = own
        return found

    def _compared(self, windows: Windows) -> "_Compared | None":
        """A domain's pairs of windows; None when either side of today's has nothing."""
        days = windows.reference_days(settled=self.of_champion)
        if not days:
            return None
        by_day = np.array([self.counts(windows, windows.reference[day]) for day in days])
        now, then = self.pair(windows)
        if min(now.sum(), then.sum()) == 0:
            return None
        unit, freedom = self._chance(windows, by_day.sum(axis=0), int(now.sum()), int(then.sum()))
        used = windows.comparable_days(settled=self.of_champion)
        among = [pairs_of_days(days, same_weekday) for same_weekday in (True, False)]
        left = np.concatenate([now[None], *(by_day[found.left] for found in among)])
        right = np.concatenate([then[None], *(found.right @ by_day for found in among)])
        sizes = 1 / np.maximum(left.sum(axis=-1), 1) + 1 / np.maximum(right.sum(axis=-1), 1)
        number = np.concatenate([[len(used)], *(found.others for found in among)])
        return _Compared(
            adjusted=(self.adjusted(windows, left), self.adjusted(windows, right)),
            noise=unit * sizes,
            spread=1 + 1 / number,
            matched=1 + len(among[0]),
            freedom=freedom,
            is_matched=windows.is_matched(settled=self.of_champion),
        )

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
        left, right = (rng.multinomial(size, shares, DRAWS).astype(float) for size in (now, then))
        squares = self._drawn(windows, left, right, held) ** 2
        squares = squares[np.isfinite(squares)]
        if not squares.size or squares.mean() <= 0:
            # One cell alone: only what is new can be a distance, and one row of it is half chance.
            return 1.0, 1.0
        freedom = 2 * squares.mean() ** 2 / max(squares.var(), 1e-300)
        return squares.mean() / (1 / now + 1 / then), max(1.0, float(freedom))

    def _drawn(
        self, windows: Windows, left: np.ndarray, right: np.ndarray, held: np.ndarray
    ) -> np.ndarray:
        """Distances (draws,) of drawn counts of the cells that are ``held`` (cells,)."""
        sides = np.zeros((2, len(left), len(held)))
        sides[0][:, held], sides[1][:, held] = left, right
        return self.distance(windows, sides[0], sides[1])


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

    def _drawn(
        self, windows: Windows, left: np.ndarray, right: np.ndarray, held: np.ndarray
    ) -> np.ndarray:
        # Cells without a row between others change no distance, and are most of them.
        return wasserstein(left, right, self.values()[held])


@dataclass(frozen=True)
class _Compared:
    """A domain's pairs of windows: today's, then ``matched`` − 1 of days of a weekday, then those
    of all days; ``adjusted`` counts (pairs, cells) of both sides, ``noise`` and ``spread`` (pairs,)
    as those of ``Pairs``.
    """

    adjusted: tuple[np.ndarray, np.ndarray]
    noise: np.ndarray
    spread: np.ndarray
    matched: int
    freedom: float
    is_matched: bool

    def reading(self, square: np.ndarray) -> Reading | None:
        """The reading, by the squared distances (pairs,); None when today's is none."""
        today, matched, plain = (
            Pairs(square[own], self.noise[own], self.spread[own]).usable()
            for own in (slice(1), slice(1, self.matched), slice(self.matched, None))
        )
        if not len(today):
            return None
        return Reading(today, matched, plain, self.freedom, self.is_matched)


def shares(counts: np.ndarray) -> np.ndarray:
    """Counts (cells,) as shares of their sum."""
    return np.asarray(counts / max(counts.sum(), 1.0))


def mean(counts: np.ndarray, values: np.ndarray) -> float | None:
    """The mean of the values by counts (cells,); None without a row."""
    return float(counts @ values / counts.sum()) if counts.sum() else None
