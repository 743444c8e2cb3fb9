"""A signal of errors that no category shows: clicks against predictions over many partitions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from driftune.config.drift import MinEffect
from driftune.drift.compare import Windows
from driftune.drift.partitions import KINDS, PAIRS_OF_USERS, PARTITIONS, STARTS, cell_name
from driftune.drift.readings import Pairs, Reading, pairs_of_days
from driftune.drift.signals.base import Facts, Move, Signal

if TYPE_CHECKING:
    from driftune.drift.profiles import Profile

# Groups that an ordered partition's cells are joined to, of about as much information each.
GROUPS = 8
# Information from which on a group is compared, as with ``Calibration``.
LEAST = 1.0
# Reference days without which so many partitions are not judged: what days differ by would be
# known from a few pairs, and one of many partitions soon looks moved.
MIN_DAYS = 5
# Pairs of windows: what all groups share counts, too.
_SHARED = np.array([each.kind == "pairs" for each in PARTITIONS])
_NUMBERS = {each.name: number for number, each in enumerate(PARTITIONS)}
# Squared largest eigenvalue of a symmetric matrix of noise (off the diagonal of variance 1, on it
# of variance 2), by its width from 1 on: mean, and degrees of freedom by the first two moments.
# From 60,000 draws of each.
_AXIS = np.array(
    [
        *([0.0, 0.0], [2.0, 1.0], [4.97, 2.75], [8.41, 5.11], [11.9, 7.87], [15.63, 10.94]),
        *([19.3, 14.45], [23.06, 17.86], [26.81, 21.87], [30.63, 26.33]),
    ]
)


@dataclass(frozen=True)
class Residuals(Signal):
    """Shift of log-odds against the champion's predictions, over partitions of rows and of pairs.

    Each partition is read as ``Calibration`` reads categories, and has a p-value of its own; the
    smallest of them decides, times their number (C. E. Bonferroni 1936), so that looking at many
    costs no false alarms.
    """

    of_champion: bool = True

    def threshold(self, limits: MinEffect) -> float:
        """See ``Signal.threshold``; in logits, and of pairs in squared ones."""
        return limits.residuals

    def reading(self, windows: Windows) -> Reading | None:
        """See ``Signal.reading``; ``parts`` of it are the partitions, the others are the strongest
        one's.
        """
        seen = _Seen.of(windows)
        return None if seen is None else seen.reading()

    def facts(self, windows: Windows, names: Mapping[int, str]) -> Facts | None:
        """Of the partition that moved most, each group's shift in the reference and on the day."""
        seen = _Seen.of(windows)
        reading = None if seen is None else seen.reading()
        if seen is None or reading is None:
            return None
        name = max(reading.parts, key=lambda part: strength(reading.parts[part]))
        return {"rows": seen.moves(name, names)}

    def say_move(self, row: Move) -> str:
        """See ``Signal.say_move``."""
        return f"{row['name']} {_signed(row['from'])} → {_signed(row['to'])}"

    def moved_by(self, row: Move) -> float | None:
        """See ``Signal.moved_by``."""
        return row["weight"] * abs(row["to"] - row["from"])

    def show_figure(self, value: float) -> str:
        """Logits, not a share."""
        return _signed(value)


def strength(reading: Reading) -> float:
    """How far today's distance is beyond that of reference days, in standard normal deviations.

    E. B. Wilson and M. M. Hilferty's cube root of a χ² (Proceedings of the National Academy of
    Sciences 17, 1931).
    """
    usual = reading.matched if reading.is_matched else reading.plain
    ratio = float(reading.today.square[0] / reading.today.noise[0])
    if len(usual):
        ratio /= max(float((usual.square / usual.noise).mean()), 1e-9)
    part = 2 / (9 * reading.freedom)
    return float((np.cbrt(ratio) - (1 - part)) / np.sqrt(part))


@dataclass(frozen=True)
class _Seen:
    """Residuals and information by group: of the day (2, groups) and of reference days
    (2, days, groups). ``starts`` (groups,): the first cell of each, ``firsts`` (partitions,): the
    first group of each.
    """

    windows: Windows
    days: Sequence[date]
    now: np.ndarray
    by_day: np.ndarray
    starts: np.ndarray
    firsts: np.ndarray

    @classmethod
    def of(cls, windows: Windows) -> "_Seen | None":
        """What windows hold; None with too few reference days, or nothing counted."""
        days = windows.reference_days(settled=True)
        if len(days) < MIN_DAYS:
            return None
        by_day = _stacked([windows.reference[day] for day in days])
        information = by_day[1].sum(axis=0)
        if not information.any():
            return None
        starts, firsts = _groups(information)
        now, then = (
            np.add.reduceat(each, starts, axis=-1)
            for each in (_stacked([windows.current])[:, 0], by_day)
        )
        return cls(windows, days, now, then, starts, firsts)

    def reading(self) -> Reading | None:
        """What it comes to; None where no partition can be compared."""
        used = self.windows.comparable_days(settled=True)
        weights = np.array([[float(day in used) for day in self.days]])
        today, freedom = self._pairs(self.now[:, None], weights)
        among = [
            self._pairs(self.by_day[:, each.left], each.right)[0]
            for each in (pairs_of_days(self.days, True), pairs_of_days(self.days, False))
        ]
        matched = self.windows.is_matched(settled=True)
        found = {
            partition.name: Reading(own, same, other, free, matched)
            for partition, own, same, other, free in zip(
                PARTITIONS, today, *among, freedom.tolist(), strict=True
            )
            if len(own) and free >= 1
        }
        if not found:
            return None
        return replace(max(found.values(), key=strength), parts=found)

    def moves(self, name: str, names: Mapping[int, str]) -> list[Move]:
        """The shift of each group of a partition, and how surely it is known."""
        number = _NUMBERS[name]
        used = self.windows.comparable_days(settled=True)
        then = self.by_day[:, [day in used for day in self.days]].sum(axis=1)
        found: list[Move] = []
        groups = self._of(number)
        for group in range(groups.start, groups.stop):
            information = min(self.now[1, group], then[1, group])
            if information <= LEAST:
                continue
            last = self.starts[group + 1] if group + 1 < len(self.starts) else None
            found.append(
                {
                    "name": cell_name(
                        self.windows.partitions,
                        name,
                        (int(self.starts[group]), None if last is None else int(last) - 1),
                        names,
                    ),
                    "from": float(then[0, group] / then[1, group]),
                    "to": float(self.now[0, group] / self.now[1, group]),
                    "weight": float(np.sqrt(information)),
                }
            )
        return found

    def _pairs(self, left: np.ndarray, others: np.ndarray) -> tuple[list[Pairs], np.ndarray]:
        """Mean squared shift between windows, per partition, and degrees of freedom of the first.

        ``left``: (2, pairs, groups); ``others`` (pairs, days): 1 for each day it is compared with.
        """
        if not len(others):
            return [Pairs.none()] * len(PARTITIONS), np.zeros(len(PARTITIONS))
        right = np.stack([others @ side for side in self.by_day])
        both = (left[1] > LEAST) & (right[1] > LEAST)
        safe = np.where(both, left[1], 1.0), np.where(both, right[1], 1.0)
        shift = np.where(both, left[0] / safe[0] - right[0] / safe[1], 0.0)
        weight = np.where(both, 1 / (1 / safe[0] + 1 / safe[1]), 0.0)
        total = np.maximum(self._by_partition(weight), 1e-12)
        common = np.where(_SHARED, 0.0, self._by_partition(weight * shift) / total)
        shift -= np.repeat(common, np.diff(self.firsts, append=len(self.starts)), axis=1)
        square = self._by_partition(weight * shift**2) / total
        freedom = np.maximum(self._by_partition(both.astype(float)) - ~_SHARED, 0)
        spread = 1 + 1 / np.maximum(others.sum(axis=1), 1)
        noise = freedom / total
        users = _NUMBERS[PAIRS_OF_USERS]
        strongest, usual, free = _axis((np.sqrt(weight) * shift)[:, self._of(users)])
        square[:, users], noise[:, users] = strongest / total[:, users], usual / total[:, users]
        freedom[:, users] = free
        found = [
            Pairs(square[:, place], noise[:, place], spread).usable()
            for place in range(len(PARTITIONS))
        ]
        return found, freedom[0]

    def _of(self, number: int) -> slice:
        """The groups of a partition."""
        ends = [*self.firsts[1:].tolist(), len(self.starts)]
        return slice(int(self.firsts[number]), ends[number])

    def _by_partition(self, values: np.ndarray) -> np.ndarray:
        """Sums (pairs, partitions) of values (pairs, groups)."""
        return np.asarray(np.add.reduceat(values, self.firsts, axis=1))


def _axis(shifts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How far users' tastes have moved apart along one axis of categories.

    ``shifts``: standardised (pairs, pairs of kinds); 0 where there are too few. Users of whom some
    turn one way and some another make a matrix of rank one: its largest eigenvalue shows it where
    a sum over all its cells has more noise. Returns its square, (pairs,), what is usual without
    drift, and degrees of freedom.
    """
    upper = np.triu_indices(KINDS)
    matrix = np.zeros((len(shifts), KINDS, KINDS))
    matrix[:, upper[0], upper[1]] = shifts
    matrix += matrix.transpose(0, 2, 1)
    diagonal = np.arange(KINDS)
    seen = matrix[:, diagonal, diagonal] != 0
    matrix[:, diagonal, diagonal] *= np.sqrt(0.5)
    values = np.linalg.eigvalsh(matrix)
    usual, freedom = _AXIS[seen.sum(axis=1)].T
    return np.abs(values[:, [0, -1]]).max(axis=1) ** 2, usual, freedom


def _stacked(profiles: Sequence["Profile"]) -> np.ndarray:
    """Residuals and information, (2, profiles, cells)."""
    parts = ("residual", "residual_information")
    return np.array([[profile.parts[part] for profile in profiles] for part in parts])


def _groups(information: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first cell of each group, and the first group of each partition, by what the reference
    holds (cells,)."""
    starts: list[int] = []
    firsts: list[int] = []
    for each in PARTITIONS:
        firsts.append(len(starts))
        first = STARTS[each.name]
        own = information[first : first + each.size]
        if each.kind == "ordered":
            middle = np.cumsum(own) - own / 2
            step = np.floor(GROUPS * middle / max(float(own.sum()), 1e-12))
            cells = np.flatnonzero(np.diff(step, prepend=-1.0))
        else:
            cells = np.arange(each.size)
        starts += (first + cells).tolist()
    return np.array(starts), np.array(firsts)


def _signed(value: float) -> str:
    return f"{'+' if value >= 0 else '−'}{abs(value):.2f}"
