"""What a signal's comparison of windows comes to: pairs of windows, and a reading of the day."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache

import numpy as np


@dataclass(frozen=True)
class Pairs:
    """Pairs of windows, arrays (pairs,): ``square`` of their distance, ``noise`` its expectation by
    sampling alone, ``spread`` how much day-to-day variation counts: 1 + 1/(days of the reference).
    """

    square: np.ndarray
    noise: np.ndarray
    spread: np.ndarray

    def __len__(self) -> int:
        return len(self.square)

    @classmethod
    def none(cls) -> "Pairs":
        """No pairs."""
        return cls(np.zeros(0), np.zeros(0), np.zeros(0))

    def rows(self) -> Iterator["Pairs"]:
        """The pairs of each row of ``square`` and ``noise`` (rows, pairs), alike in ``spread``."""
        for square, noise in zip(self.square, self.noise, strict=True):
            yield Pairs(square, noise, self.spread)

    def part(self, part: slice) -> "Pairs":
        """Some of the pairs."""
        return Pairs(self.square[part], self.noise[part], self.spread[part])

    def usable(self) -> "Pairs":
        """The pairs that could be measured."""
        good = np.isfinite(self.square + self.noise) & (self.noise > 0)
        if good.all():
            return self
        return Pairs(self.square[good], self.noise[good], self.spread[good])


@dataclass(frozen=True)
class Reading:
    """One signal of one domain: today's pair, pairs of reference days, degrees of freedom.

    ``matched`` compares days with others of their weekday, ``plain`` with all others, and
    ``is_matched`` says which of them today's pair is like; ``worse`` is False for a one-sided
    signal that moved for the better. ``parts``: readings that are judged one by one in its place,
    the smallest p-value times their number.
    """

    today: Pairs
    matched: Pairs
    plain: Pairs
    freedom: float
    is_matched: bool
    one_sided: bool = False
    worse: bool = True
    parts: Mapping[str, "Reading"] = field(default_factory=dict)


@dataclass(frozen=True)
class DayPairs:
    """Each reference day against the other ones: ``left`` (pairs,) are positions of days,
    ``right`` (pairs, days) is 1 where a day is one of the others, else 0.
    """

    left: np.ndarray
    right: np.ndarray

    def __len__(self) -> int:
        return len(self.left)

    @property
    def others(self) -> np.ndarray:
        """How many (pairs,) the other days are."""
        return np.asarray(self.right.sum(axis=1))


def has_weekday(day: date, days: Sequence[date], enough: int) -> bool:
    """Whether ``enough`` of the days are of the day's weekday."""
    return sum(other.weekday() == day.weekday() for other in days) >= enough


def comparable_days(day: date, days: Sequence[date], enough: int) -> list[date]:
    """The days of the day's weekday where there are ``enough``, else all."""
    if not has_weekday(day, days, enough):
        return list(days)
    return [other for other in days if other.weekday() == day.weekday()]


def pairs_of_days(days: Sequence[date], same_weekday: bool) -> DayPairs:
    """Each day with the other days (of its weekday); days without such are left out."""
    return _pairs_of_days(tuple(days), same_weekday)


@lru_cache(maxsize=256)
def _pairs_of_days(days: tuple[date, ...], same_weekday: bool) -> DayPairs:
    # Domains of a day have few different references.
    weekdays = np.array([day.weekday() for day in days], dtype=int)
    apart = ~np.eye(len(days), dtype=bool)
    right = apart & (weekdays[:, None] == weekdays) if same_weekday else apart
    left = np.flatnonzero(right.any(axis=1))
    return DayPairs(left, right[left].astype(float))
