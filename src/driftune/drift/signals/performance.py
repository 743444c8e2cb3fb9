"""Signals of the champion's own errors: clicks against its predictions, and its ranking."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from driftune.config.drift import MinEffect
from driftune.drift.cells import LOGITS
from driftune.drift.compare import Windows
from driftune.drift.readings import Pairs, Reading, pairs_of_days
from driftune.drift.signals.base import Facts, Move, Signal
from driftune.drift.statistics import binned_auc

if TYPE_CHECKING:
    from driftune.drift.profiles import Profile

# A ratio of clicks to predicted clicks is said of groups with that many expected on both sides.
EXPECTED = 5.0


@dataclass(frozen=True)
class Calibration(Signal):
    """Shift of log-odds per category against the champion's predictions, their mean left out.

    One step of Newton's method from the predictions: (clicks − Σp) / Σp(1 − p) per category.
    That all categories move alike hurts no ranking, and shows in the click rate.
    """

    of_champion: bool = True

    def threshold(self, limits: MinEffect) -> float:
        """See ``Signal.threshold``; in logits."""
        return limits.calibration

    def reading(self, windows: Windows) -> Reading | None:
        """See ``Signal.reading``."""
        days = windows.reference_days(settled=True)
        if not days:
            return None
        now = _shifts(windows, [windows.current])
        by_day = _shifts(windows, [windows.reference[day] for day in days])
        used = [days.index(day) for day in windows.comparable_days(settled=True)]
        groups = int((now[1][0] > 1).sum())
        if groups < 2:
            return None

        def pairs(left: np.ndarray, right: np.ndarray) -> Pairs:
            return _calibration_pairs(left, [right @ side for side in by_day], right.sum(axis=1))

        def among(same_weekday: bool) -> Pairs:
            found = pairs_of_days(days, same_weekday)
            if not len(found):
                return Pairs.none()
            return pairs(np.stack([side[found.left] for side in by_day]), found.right)

        among_used = np.bincount(used, minlength=len(days))[None].astype(float)
        today = pairs(np.stack([side[0] for side in now])[:, None], among_used)
        if not len(today):
            return None
        is_matched = windows.is_matched(settled=True)
        return Reading(today, among(True), among(False), float(groups - 1), is_matched)

    def facts(self, windows: Windows, names: Mapping[int, str]) -> Facts | None:
        """Clicks against predicted clicks per category, the common ratio left out."""
        used = windows.comparable_days(settled=True)
        sides = []
        for profiles in ([windows.current], [windows.reference[day] for day in used]):
            clicked, expected = (
                sum(
                    (windows.by_category(profile, part) for profile in profiles),
                    np.zeros(len(windows.groups[1]) + 1),
                )
                for part in ("clicked", "expected")
            )
            common = clicked.sum() / max(expected.sum(), 1e-9)
            sides.append((clicked, expected * max(common, 1e-9)))
        (clicked, expected), (clicked_then, expected_then) = sides
        rows: list[Move] = [
            {
                "name": name,
                "from": float(clicked_then[place] / expected_then[place]),
                "to": float(clicked[place] / expected[place]),
                "weight": float(np.sqrt(expected[place])),
            }
            for place, name in enumerate(windows.group_names(names))
            if min(expected[place], expected_then[place]) >= EXPECTED
        ]
        return {"rows": rows}

    def say_move(self, row: Move) -> str:
        """See ``Signal.say_move``."""
        return f"{row['name']} ×{row['to'] / row['from']:.2f}"

    def moved_by(self, row: Move) -> float | None:
        """See ``Signal.moved_by``."""
        if not row["from"] or not row["to"]:
            return None
        return row["weight"] * float(abs(np.log(row["to"] / row["from"])))

    def show_figure(self, value: float) -> str:
        """A ratio, not a share."""
        return f"{value:.2f}"


@dataclass(frozen=True)
class AucLost(Signal):
    """The champion's AUC on the day below that on rows of the reference that did not train it."""

    of_champion: bool = True

    def threshold(self, limits: MinEffect) -> float:
        """See ``Signal.threshold``; in AUC."""
        return limits.auc

    def reading(self, windows: Windows) -> Reading | None:
        """See ``Signal.reading``; one-sided: a better AUC is no drift."""
        days = windows.reference_days(settled=True)
        before, now = _rankings(windows)
        if not days or before.sum() < windows.min_rows:
            return None
        drop, noise = _auc_drop(now, before)
        unseen = sum(
            windows.reference[day].parts["ranking_unseen"].sum() > 0 for day in windows.days
        )
        today = Pairs(drop[None] ** 2, noise[None], np.array([1 + 1 / unseen])).usable()
        if not len(today):
            return None
        ranked = np.array([windows.reference[day].parts["ranking"] for day in days])

        def among(same_weekday: bool) -> Pairs:
            found = pairs_of_days(days, same_weekday)
            each, noises = _auc_drop(ranked[found.left], found.right @ ranked)
            return Pairs(each**2, noises, 1 + 1 / found.others).usable()

        # The rows that trained no champion are few: those of all days are one reference.
        worse = bool(drop > 0)
        return Reading(today, among(True), among(False), 1.0, False, one_sided=True, worse=worse)

    def facts(self, windows: Windows, names: Mapping[int, str]) -> Facts | None:
        """The AUC of both sides; None where one of them has none."""
        before, after = (
            binned_auc(ranked[:LOGITS], ranked[LOGITS:])[0] for ranked in _rankings(windows)
        )
        if not np.isfinite(before) or not np.isfinite(after):
            return None
        return {"from": float(before), "to": float(after)}

    def say_figure(self, before: float, after: float) -> str:
        """See ``Signal.say_figure``."""
        return f"{self.label} {before:.3f} → {after:.3f}"


def _shifts(windows: Windows, profiles: Sequence["Profile"]) -> tuple[np.ndarray, np.ndarray]:
    """Clicks beyond the predicted, and their information, (windows, groups) each."""
    clicked, expected, information = (
        np.array([windows.by_category(profile, part) for profile in profiles])
        for part in ("clicked", "expected", "information")
    )
    return clicked - expected, information


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


def _rankings(windows: Windows) -> tuple[np.ndarray, np.ndarray]:
    """Predictions without and with a click: rows of the reference that did not train the
    champion, and those of the day.
    """
    before = sum(
        (windows.reference[day].parts["ranking_unseen"] for day in windows.days),
        np.zeros(2 * LOGITS),
    )
    return before, windows.current.parts["ranking"]


def _auc_drop(now: np.ndarray, then: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The AUC lost (…,) from ``then`` to ``now`` (…, cells), and the variance of the difference."""
    before, noise_before = binned_auc(then[..., :LOGITS], then[..., LOGITS:])
    after, noise_after = binned_auc(now[..., :LOGITS], now[..., LOGITS:])
    return before - after, noise_before + noise_after
