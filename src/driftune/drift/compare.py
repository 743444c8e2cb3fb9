"""Comparing windows of one domain: the day with its reference, and reference days with each other.

Every signal is reduced to a squared distance, and to the squared distance that samples of these
sizes have by chance alone. What reference days differ by beyond that is day-to-day variation.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from driftune.drift.cells import (
    CATEGORIES,
    FIRST,
    LOGITS,
    MOST,
    NEW,
    NONE,
    logit_values,
    price_values,
)
from driftune.drift.signals import SIGNALS
from driftune.drift.statistics import binned_auc, jensen_shannon, wasserstein

if TYPE_CHECKING:
    from driftune.drift.profiles import Profile

DRAWS = 100


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

    def usable(self) -> "Pairs":
        """The pairs that could be measured."""
        good = np.isfinite(self.square) & np.isfinite(self.noise) & (self.noise > 0)
        return Pairs(self.square[good], self.noise[good], self.spread[good])


@dataclass(frozen=True)
class Reading:
    """One signal of one domain: today's pair, pairs of reference days, degrees of freedom.

    ``matched`` compares days with others of their weekday, ``plain`` with all others, and
    ``is_matched`` says which of them today's pair is like; ``worse`` is False for a one-sided
    signal that moved for the better.
    """

    today: Pairs
    matched: Pairs
    plain: Pairs
    freedom: float
    is_matched: bool
    one_sided: bool = False
    worse: bool = True


@dataclass(frozen=True)
class Windows:
    """A domain's window of the day and those of its reference days.

    ``settled``: the reference days that the champion's predictions can be compared with: on the
    lake's first days its counters are young.
    """

    key: str
    day: date
    current: "Profile"
    reference: Mapping[date, "Profile"]
    settled: frozenset[date]
    weekday_days: int
    top_categories: int
    min_rows: int
    seed: int

    @cached_property
    def days(self) -> list[date]:
        """The reference days, in order."""
        return sorted(self.reference)

    def is_matched(self, signal: str) -> bool:
        """Whether a signal is compared with days of the day's weekday alone."""
        return _same_weekday(self.day, self._reference_for(signal), self.weekday_days)

    @cached_property
    def groups(self) -> tuple[np.ndarray, list[int]]:
        """The group of every category cell, and one cell per group but the last, the rest."""
        shown = sum((self.reference[day].parts["shown"] for day in self.days), np.zeros(CATEGORIES))
        ranked = shown.copy()
        ranked[[NONE, NEW, FIRST + MOST]] = 0
        order = np.argsort(-ranked, kind="stable")[: self.top_categories]
        cells = [*(int(cell) for cell in order if ranked[cell] > 0), NONE, NEW]
        group = np.full(CATEGORIES, len(cells))
        group[cells] = np.arange(len(cells))
        return group, cells

    def by_category(self, profile: "Profile", part: str) -> np.ndarray:
        """A part's counts by group of categories (groups,)."""
        group, cells = self.groups
        return np.bincount(group, profile.parts[part], minlength=len(cells) + 1)

    def counts(self, signal: str, profile: "Profile", *, unseen: bool = False) -> np.ndarray:
        """The counts that a signal compares, of one window."""
        parts = profile.parts
        if signal in ("category_shown", "category_clicked"):
            return self.by_category(profile, signal.removeprefix("category_"))
        if signal == "click_rate":
            return np.array([profile.rows - profile.clicks, profile.clicks], dtype=float)
        if signal == "category_rate":
            shown, clicked = (self.by_category(profile, part) for part in ("shown", "clicked"))
            return np.stack([shown - clicked, clicked], axis=1).ravel()
        if signal == "prediction":
            ranked = parts["ranking_unseen" if unseen else "ranking"]
            return np.asarray(ranked[:LOGITS] + ranked[LOGITS:])
        return parts[signal]

    def pooled(self, signal: str, days: Sequence[date]) -> np.ndarray:
        """The counts of a signal over several reference days.

        Predictions are those of rows that did not train the champion, where there are enough.
        """
        if signal == "prediction":
            unseen = sum(self.counts(signal, self.reference[day], unseen=True) for day in self.days)
            if np.sum(unseen) >= self.min_rows:
                return np.asarray(unseen, dtype=float)
        return np.asarray(sum(self.counts(signal, self.reference[day]) for day in days))

    def adjusted(self, signal: str, counts: np.ndarray) -> np.ndarray:
        """Counts as they are compared: click rates at the reference's mix of categories.

        (Direct standardisation: a change of what is shown must not look like one of the rates.)
        """
        if signal != "category_rate":
            return counts
        mix = self._mix
        pairs = counts.reshape(*counts.shape[:-1], -1, 2)
        totals = pairs.sum(axis=-1, keepdims=True)
        rates = np.divide(pairs, totals, out=np.zeros_like(pairs, dtype=float), where=totals > 0)
        size = counts.sum(axis=-1)[..., None, None]
        return np.asarray((rates * mix[:, None] * size).reshape(counts.shape))

    @cached_property
    def _mix(self) -> np.ndarray:
        """Shares of the categories that both sides have shown."""
        then = sum(self.by_category(self.reference[day], "shown") for day in self.days)
        both = np.where(self.by_category(self.current, "shown") > 0, then, 0.0)
        return np.asarray(both / max(both.sum(), 1.0))

    def distance(self, signal: str, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Distances of counts over the last axis, as Evidently measures them."""
        left, right = self.adjusted(signal, left), self.adjusted(signal, right)
        if SIGNALS[signal].method == "jensenshannon":
            return jensen_shannon(left, right)
        return wasserstein(left, right, cell_values(signal))

    def group_names(self, names: Mapping[int, str]) -> list[str]:
        """The names of the groups of categories, no two alike."""
        _, cells = self.groups
        found: list[str] = []
        for name in [*(names.get(cell, f"category {cell}") for cell in cells), "(other)"]:
            found.append(f"{name} ({len(found)})" if name in found else name)
        return found

    def pair(self, signal: str) -> tuple[np.ndarray, np.ndarray]:
        """The counts that a signal compares: of the day, and of its reference."""
        used = _matching(self.day, self._reference_for(signal), self.weekday_days)
        return self.counts(signal, self.current), self.pooled(signal, used)

    def expectations(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Clicks and predicted clicks by group of categories: of the day, and of its reference."""
        used = _matching(self.day, self._reference_for("calibration"), self.weekday_days)
        sides = [[self.current], [self.reference[day] for day in used]]
        zero = np.zeros(len(self.groups[1]) + 1)
        return [
            (
                sum((self.by_category(each, "clicked") for each in side), zero),
                sum((self.by_category(each, "expected") for each in side), zero),
            )
            for side in sides
        ]

    def rankings(self) -> tuple[np.ndarray, np.ndarray]:
        """Predictions without and with a click: rows of the reference that did not train the
        champion, and those of the day.
        """
        before = sum(
            (self.reference[day].parts["ranking_unseen"] for day in self.days),
            np.zeros(2 * LOGITS),
        )
        return before, self.current.parts["ranking"]

    def reading(self, signal: str) -> Reading | None:
        """Measure a signal; None when either side has nothing to compare."""
        if signal == "calibration":
            return self._calibration()
        return self._auc() if signal == "auc" else self._counted(signal)

    def _reference_for(self, signal: str) -> list[date]:
        champion = signal in ("prediction", "calibration", "auc")
        return [day for day in self.days if day in self.settled] if champion else self.days

    def _counted(self, signal: str) -> Reading | None:
        days = self._reference_for(signal)
        if not days:
            return None
        each = np.array([self.counts(signal, self.reference[day]) for day in days])
        used = _matching(self.day, days, self.weekday_days)
        now, then = self.pair(signal)
        pool = each.sum(axis=0)
        if min(now.sum(), then.sum()) == 0:
            return None
        unit, freedom = self._chance(signal, pool, int(now.sum()), int(then.sum()))

        def pairs(left: np.ndarray, right: np.ndarray, number: np.ndarray) -> Pairs:
            sizes = 1 / np.maximum(left.sum(axis=-1), 1) + 1 / np.maximum(right.sum(axis=-1), 1)
            square = self.distance(signal, left, right) ** 2
            return Pairs(square, unit * sizes, 1 + 1 / number).usable()

        matched, plain = (
            pairs(each[left], np.array([each[one].sum(axis=0) for one in right]), number)
            if len(left)
            else _no_pairs()
            for left, right, number in (_others(days, same) for same in (True, False))
        )
        today = pairs(now[None], then[None], np.array([len(used)]))
        return Reading(today, matched, plain, freedom, self.is_matched(signal))

    def _chance(self, signal: str, pool: np.ndarray, now: int, then: int) -> tuple[float, float]:
        """Squared distance of samples of one distribution, per 1/n + 1/m, and its freedom.

        From resampled windows of the pooled reference; degrees of freedom by the first two moments
        (Satterthwaite, Biometrics Bulletin 2, 1946).
        """
        held = pool > 0
        shares = pool[held] / pool.sum()
        text = f"{self.seed} {self.key} {signal}"
        rng = np.random.default_rng(int(hashlib.sha256(text.encode()).hexdigest()[:16], 16))
        sides = np.zeros((2, DRAWS, len(pool)))
        for side, size in enumerate((now, then)):
            sides[side][:, held] = rng.multinomial(size, shares, DRAWS)
        squares = self.distance(signal, sides[0], sides[1]) ** 2
        squares = squares[np.isfinite(squares)]
        if not squares.size or squares.mean() <= 0:
            # One cell alone: only what is new can be a distance, and one row of it is half chance.
            return 1.0, 1.0
        freedom = 2 * squares.mean() ** 2 / max(squares.var(), 1e-300)
        return squares.mean() / (1 / now + 1 / then), max(1.0, float(freedom))

    def _calibration(self) -> Reading | None:
        """Shift of log-odds per category against the champion's predictions, their mean left out.

        One step of Newton's method from the predictions: (clicks − Σp) / Σp(1 − p) per category.
        That all categories move alike hurts no ranking, and shows in the click rate.
        """
        days = self._reference_for("calibration")
        if not days:
            return None
        now = self._shifts([self.current])
        each = self._shifts([self.reference[day] for day in days])
        used = [days.index(day) for day in _matching(self.day, days, self.weekday_days)]
        groups = int((now[1][0] > 1).sum())
        if groups < 2:
            return None

        def pairs(left: np.ndarray, right: Sequence[Sequence[int]]) -> Pairs:
            sums = [np.array([side[list(one)].sum(axis=0) for one in right]) for side in each]
            return _calibration_pairs(left, sums, np.array([len(one) for one in right]))

        today = pairs(np.stack([side[0] for side in now])[:, None], [used])
        found = []
        for same in (True, False):
            left, right, _ = _others(days, same)
            mine = np.stack([side[left] for side in each])
            found.append(pairs(mine, right) if len(left) else _no_pairs())
        matched, plain = found
        if not len(today):
            return None
        return Reading(today, matched, plain, float(groups - 1), self.is_matched("calibration"))

    def _shifts(self, profiles: Sequence["Profile"]) -> tuple[np.ndarray, np.ndarray]:
        """Clicks beyond the predicted, and their information, (windows, groups) each."""
        clicked, expected, information = (
            np.array([self.by_category(profile, part) for profile in profiles])
            for part in ("clicked", "expected", "information")
        )
        return clicked - expected, information

    def _auc(self) -> Reading | None:
        days = self._reference_for("auc")
        before, now = self.rankings()
        if not days or before.sum() < self.min_rows:
            return None
        drop, noise = _auc_drop(now, before)
        unseen = sum(self.reference[day].parts["ranking_unseen"].sum() > 0 for day in self.days)
        today = Pairs(np.array([drop**2]), np.array([noise]), np.array([1 + 1 / unseen])).usable()
        found = []
        for same in (True, False):
            left, right, number = _others(days, same)
            ranked = [self.reference[day].parts["ranking"] for day in days]
            pairs = [
                _auc_drop(ranked[one], np.sum([ranked[other] for other in others], axis=0))
                for one, others in zip(left, right, strict=True)
            ]
            drops, noises = np.array(pairs).reshape(-1, 2).T
            found.append(Pairs(drops**2, noises, 1 + 1 / number).usable())
        if not len(today):
            return None
        matched, plain = found
        # The rows that trained no champion are few: those of all days are one reference.
        return Reading(today, matched, plain, 1.0, False, one_sided=True, worse=bool(drop > 0))


def cell_values(signal: str) -> np.ndarray:
    """What the cells of a numeric signal stand for."""
    return logit_values() if signal == "prediction" else price_values()


def _same_weekday(day: date, days: Sequence[date], enough: int) -> bool:
    return sum(other.weekday() == day.weekday() for other in days) >= enough


def _matching(day: date, days: Sequence[date], enough: int) -> list[date]:
    if not _same_weekday(day, days, enough):
        return list(days)
    return [other for other in days if other.weekday() == day.weekday()]


def _others(
    days: Sequence[date], same_weekday: bool
) -> tuple[np.ndarray, list[list[int]], np.ndarray]:
    """Each day with the other days (of its weekday): positions, and how many others."""
    left, right = [], []
    for place, day in enumerate(days):
        others = [
            n
            for n, other in enumerate(days)
            if n != place and (not same_weekday or other.weekday() == day.weekday())
        ]
        if others:
            left.append(place)
            right.append(others)
    return np.array(left, dtype=int), right, np.array([len(one) for one in right], dtype=float)


def _no_pairs() -> Pairs:
    return Pairs(np.zeros(0), np.zeros(0), np.zeros(0))


def _calibration_pairs(left: np.ndarray, right: Sequence[np.ndarray], number: np.ndarray) -> Pairs:
    """Mean squared shift between windows, weighed by information; (2, pairs, groups) each side."""
    information = np.stack([left[1], right[1]])
    both = (information > 1).all(axis=0)
    safe = np.where(both, information, 1.0)
    shift = np.where(both, left[0] / safe[0] - right[0] / safe[1], 0.0)
    weight = np.where(both, 1 / (1 / safe[0] + 1 / safe[1]), 0.0)
    total = np.maximum(weight.sum(axis=1), 1e-12)
    shift -= ((weight * shift).sum(axis=1) / total)[:, None]
    square = (weight * shift**2).sum(axis=1) / total
    freedom = both.sum(axis=1) - 1
    return Pairs(square, freedom / total, 1 + 1 / np.maximum(number, 1)).usable()


def _auc_drop(now: np.ndarray, then: np.ndarray) -> tuple[float, float]:
    before, noise_before = binned_auc(then[:LOGITS], then[LOGITS:])
    after, noise_after = binned_auc(now[:LOGITS], now[LOGITS:])
    return before - after, noise_before + noise_after
