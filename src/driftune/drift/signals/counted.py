"""Signals that compare how the rows of two windows are spread over cells, as Evidently does."""

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
from driftune.drift.signals.chance import DRAWS, draw_pair, of_chance
from driftune.drift.statistics import jensen_shannon, wasserstein

if TYPE_CHECKING:
    from driftune.drift.profiles import Profile

# Domains whose draws are compared in one pass: as many as caches hold.
STACKED = 32


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
        """See ``Signal.readings``.

        Domains with the same reference days and as many cells are stacked; all sums run over a
        domain's own cells, so that its figures do not depend on the others.
        """
        alike: dict[tuple[tuple[date, ...], int], list[int]] = defaultdict(list)
        for place, windows in enumerate(many):
            days = windows.reference_days(settled=self.of_champion)
            now, then = self.pair(windows)
            if days and min(now.sum(), then.sum()) > 0:
                alike[(*days,), len(now)].append(place)
        found: list[Reading | None] = [None] * len(many)
        for (common, _), places in alike.items():
            readings = self._together([many[place] for place in places], common)
            for place, reading in zip(places, readings, strict=True):
                found[place] = reading
        return found

    def spreads(self, pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        """Distances (pairs,) of many pairs of adjusted counts (cells,), each independent."""
        of_width: dict[int, list[int]] = defaultdict(list)
        for place, (left, _) in enumerate(pairs):
            of_width[len(left)].append(place)
        found = np.zeros(len(pairs))
        for places in of_width.values():
            left, right = (np.array([pairs[n][side] for n in places]) for side in (0, 1))
            found[places] = self.spread(left, right)
        return found

    def _together(self, many: Sequence[Windows], days: Sequence[date]) -> list[Reading | None]:
        """The readings of domains with the same reference days and as many cells."""
        by_day = np.array(
            [[self.counts(each, each.reference[day]) for day in days] for each in many]
        )
        now, then = (np.array([self.pair(each)[side] for each in many]) for side in (0, 1))
        used = many[0].comparable_days(settled=self.of_champion)
        among = [pairs_of_days(days, same_weekday) for same_weekday in (True, False)]
        # Per domain: today's pair, those of days of a weekday, those of all days.
        left = np.concatenate([now[:, None], *(by_day[:, each.left] for each in among)], axis=1)
        right = np.concatenate([then[:, None], *(each.right @ by_day for each in among)], axis=1)
        number = np.concatenate([[len(used)], *(each.others for each in among)])
        sizes = 1 / np.maximum(left.sum(axis=-1), 1) + 1 / np.maximum(right.sum(axis=-1), 1)
        chances = self._chances(many, by_day.sum(axis=1), now.sum(axis=-1), then.sum(axis=-1))
        sides = (
            np.array([self.adjusted(each, own) for each, own in zip(many, side, strict=True)])
            for side in (left, right)
        )
        pairs = Pairs(self.spread(*sides) ** 2, chances[0][:, None] * sizes, 1 + 1 / number)
        ends = 1 + len(among[0])
        is_matched = many[0].is_matched(settled=self.of_champion)
        found: list[Reading | None] = []
        for own, freedom in zip(pairs.rows(), chances[1], strict=True):
            today, matched, plain = (
                own.part(part).usable() for part in (slice(1), slice(1, ends), slice(ends, None))
            )
            reading = Reading(today, matched, plain, float(freedom), is_matched)
            found.append(reading if len(today) else None)
        return found

    def _chances(
        self, many: Sequence[Windows], pools: np.ndarray, now: np.ndarray, then: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Squared distances of samples of one distribution, per 1/n + 1/m, and their freedom.

        From resampled windows of the pooled references (domains, cells), in the sizes ``now`` and
        ``then`` (domains,); degrees of freedom by the first two moments (Satterthwaite, Biometrics
        Bulletin 2, 1946). Each domain draws by a seed of its own.
        """
        found = [np.zeros((0, DRAWS))]
        for start in range(0, len(many), STACKED):
            some = slice(start, start + STACKED)
            found.append(self._drawn(many[some], pools[some], now[some], then[some]) ** 2)
        return of_chance(np.concatenate(found), 1 / now + 1 / then)

    def _drawn(
        self, many: Sequence[Windows], pools: np.ndarray, now: np.ndarray, then: np.ndarray
    ) -> np.ndarray:
        """Distances (domains, draws) of drawn windows."""
        sides = np.zeros((2, len(many), DRAWS, pools.shape[-1]))
        for place, windows in enumerate(many):
            held = pools[place] > 0
            drawn = self._draw(windows, pools[place], int(now[place]), int(then[place]))
            for side, counts in zip(sides, drawn, strict=True):
                side[place][:, held] = counts
                side[place] = self.adjusted(windows, side[place])
        return self.spread(sides[0], sides[1])

    def _draw(
        self, windows: Windows, pool: np.ndarray, now: int, then: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Counts (draws, cells that have any) of windows in two sizes drawn from one pool."""
        seed = f"{windows.seed} {windows.key} {self.name}"
        return draw_pair(seed, pool[pool > 0] / pool.sum(), (now, then))


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
        self, many: Sequence[Windows], pools: np.ndarray, now: np.ndarray, then: np.ndarray
    ) -> np.ndarray:
        # Cells without a row change no distance, and are most of them.
        found = np.zeros((len(many), DRAWS))
        for place, windows in enumerate(many):
            drawn = self._draw(windows, pools[place], int(now[place]), int(then[place]))
            found[place] = wasserstein(*drawn, self.values()[pools[place] > 0])
        return found


def shares(counts: np.ndarray) -> np.ndarray:
    """Counts (cells,) as shares of their sum."""
    return np.asarray(counts / max(counts.sum(), 1.0))


def mean(counts: np.ndarray, values: np.ndarray) -> float | None:
    """The mean of the values by counts (cells,); None without a row."""
    return float(counts @ values / counts.sum()) if counts.sum() else None
