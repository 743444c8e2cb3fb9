"""Slices of the gate's rows: who and what is new, who is heavy, which part of the day."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np

from driftune.config.gate import Gate
from driftune.evaluation.bootstrap import PairedDifference
from driftune.evaluation.verdicts import Verdict

DAY_PARTS = (0, 6, 12, 18, 24)


@dataclass(frozen=True)
class Slice:
    """A slice's paired difference, and whether it is significantly below the tolerance.

    ``p`` is one-sided against the tolerance, ``p_holm`` corrected for the slices that were
    tested; both are NaN where the verdict is ``unknown``.
    """

    name: str
    verdict: Verdict
    p: float
    p_holm: float
    difference: PairedDifference


def traffic_slices(
    *,
    user: np.ndarray,
    item: np.ndarray,
    time: np.ndarray,
    earlier_user: np.ndarray,
    earlier_item: np.ndarray,
    unseen_items: int,
    zone: ZoneInfo,
) -> dict[str, np.ndarray]:
    """Masks of the gate's rows, (n,) booleans each, by the slice's name.

    New is what the training and selection rows do not have. Heavy users are those with the most
    impressions in all these rows who make up half of the gate's.

    Args:
        user, item: (n,) ids of the gate's rows; items as the encoder numbers them.
        time: (n,) microseconds since 1970, UTC.
        earlier_user, earlier_item: (m,) ids of the training and selection rows.
        unseen_items: item numbers up to this one mean an item that the encoder does not know.
        zone: the time zone whose hours count.
    """
    import pandas as pd

    new_user = ~np.isin(user, earlier_user)
    new_item = ~np.isin(item, earlier_item) | (item <= unseen_items)
    heavy = _heavy(user, np.concatenate([earlier_user, user]))
    hour = pd.to_datetime(time, unit="us", utc=True).tz_convert(zone).hour.to_numpy()
    parts = {
        f"{first} to {end} h": (first <= hour) & (hour < end) for first, end in pairwise(DAY_PARTS)
    }
    return {
        "new users": new_user,
        "known users": ~new_user,
        "new items": new_item,
        "known items": ~new_item,
        "heavy users": heavy,
        "light users": ~heavy,
        **parts,
    }


def judge_slices(differences: Mapping[str, PairedDifference], policy: Gate) -> list[Slice]:
    """Test every slice that is large enough for a loss beyond ``slice_tolerance``.

    The tests are one-sided and corrected by Holm's step-down method (S. Holm, Scandinavian
    Journal of Statistics 6 (1979)) at 1 − ``policy.confidence`` over all slices: a promotion of a
    challenger that loses no more than the tolerance anywhere is stopped that rarely.
    """
    p_values = {
        name: each.p_below(-policy.slice_tolerance)
        for name, each in differences.items()
        if _large_enough(each, policy)
    }
    corrected = holm(p_values)
    level = 1 - policy.confidence
    found = []
    for name, each in differences.items():
        p = corrected.get(name, float("nan"))
        verdict: Verdict = "unknown"
        if name in corrected:
            verdict = "pass" if p > level else "fail"
        found.append(Slice(name, verdict, p_values.get(name, float("nan")), p, each))
    return found


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's corrected p-values, by the same names."""
    corrected, largest = {}, 0.0
    for place, (name, p) in enumerate(sorted(p_values.items(), key=lambda pair: pair[1])):
        largest = max(largest, min(1.0, (len(p_values) - place) * p))
        corrected[name] = largest
    return corrected


def _large_enough(difference: PairedDifference, policy: Gate) -> bool:
    scarcer = min(difference.positives, difference.rows - difference.positives)
    return (
        scarcer >= policy.min_positives
        and difference.effective_users >= policy.min_users
        and np.isfinite(difference.error)
    )


def _heavy(user: np.ndarray, everywhere: np.ndarray) -> np.ndarray:
    names, counts = np.unique(everywhere, return_counts=True)
    impressions = counts[np.searchsorted(names, user)]
    return impressions > np.median(impressions) if len(user) else np.zeros(0, dtype=bool)
