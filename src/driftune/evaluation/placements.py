"""Placements: where each row stands among the rows of the other class. AUC is their mean.

They carry all that DeLong's variance and the linearised bootstrap of an AUC need.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri


def placements(positive: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Share of the other class that each row is on the right side of, (n,) in [0, 1].

    Of a positive: the negatives scored below it; of a negative: the positives scored above it;
    ties count half. Both means equal the AUC. NaN throughout when a class is missing.

    Args:
        positive: (n,) booleans.
        scores: (n,) finite; larger means more likely positive.
    """
    wins = int(np.count_nonzero(positive))
    losses = len(positive) - wins
    if not wins or not losses:
        return np.full(len(positive), np.nan)
    order = np.argsort(scores)
    ranked, is_positive = scores[order], positive[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    tied = np.diff(np.r_[starts, len(ranked)])
    beaten = np.add.reduceat(~is_positive, starts, dtype=np.float64)
    beating = np.add.reduceat(is_positive, starts, dtype=np.float64)
    below = (np.cumsum(beaten) - beaten / 2) / losses
    above = (wins - np.cumsum(beating) + beating / 2) / wins
    found = np.empty(len(positive))
    found[order] = np.where(is_positive, np.repeat(below, tied), np.repeat(above, tied))
    return found


@dataclass(frozen=True)
class DeLong:
    """A paired AUC difference with a standard error that takes rows for independent.

    ``low`` and ``high`` are the ends of its normal interval; all but ``estimate`` are NaN with
    fewer than two rows of a class.
    """

    estimate: float
    error: float
    low: float
    high: float


def delong(positive: np.ndarray, gained: np.ndarray, confidence: float) -> DeLong:
    """DeLong's interval of a paired AUC difference, by rows: blind to rows of one user.

    E. R. DeLong, D. M. DeLong and D. L. Clarke-Pearson, Biometrics 44 (1988): the variance of
    either class's mean placement, added.

    Args:
        positive: (n,) booleans.
        gained: (n,) challenger's minus champion's placements.
        confidence: coverage, in (0, 1).
    """
    sides = gained[positive], gained[~positive]
    if min(map(len, sides)) < 2:
        return DeLong(*(float("nan"),) * 4)
    error = math.sqrt(sum(float(side.var(ddof=1)) / len(side) for side in sides))
    estimate = float(sides[0].mean())
    reach = float(ndtri((1 + confidence) / 2)) * error
    return DeLong(estimate, error, max(estimate - reach, -1.0), min(estimate + reach, 1.0))
