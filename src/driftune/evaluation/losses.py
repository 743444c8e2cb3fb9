"""Difference of two models' log loss on the same impressions, with a user-clustered interval.

Users are drawn as in ``bootstrap``, by the same seed the same ones; the mean of a resample is its
rows' sum by its rows' number.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit

from driftune.evaluation.bootstrap import draws, freedom_of


@dataclass(frozen=True)
class LossDifference:
    """Mean log loss of both models (nats) and ``estimate`` = challenger − champion: above 0 is
    worse. ``error``, ``low`` and ``high`` are NaN with fewer than two effective users.
    """

    champion: float
    challenger: float
    estimate: float
    error: float
    freedom: float
    low: float
    high: float
    users: int

    def p_above(self, limit: float) -> float:
        """One-sided p-value of the true difference being ``limit`` or less; NaN without an error.

        Small: the difference is significantly above ``limit``.
        """
        if self.error == 0:
            return float(self.estimate <= limit)
        return float(stdtr(self.freedom, (limit - self.estimate) / self.error))


def row_losses(labels: ArrayLike, probabilities: ArrayLike) -> np.ndarray:
    """Negative log-likelihood of each row in nats, (n,); probabilities as ``metrics.log_loss``
    keeps them off 0 and 1.
    """
    epsilon = np.finfo(np.float64).eps
    safe = np.clip(np.asarray(probabilities, dtype=np.float64), epsilon, 1 - epsilon)
    losses: np.ndarray = -np.where(np.asarray(labels) == 1, np.log(safe), np.log1p(-safe))
    return losses


def paired_log_loss(
    labels: ArrayLike,
    champion: ArrayLike,
    challenger: ArrayLike,
    user: np.ndarray,
    *,
    resamples: int,
    confidence: float,
    seed: int,
) -> LossDifference:
    """Compare two models' probabilities of the same rows.

    Args:
        labels: (n,) of 0 and 1.
        champion, challenger: (n,) probabilities.
        user: (n,) user numbers from 0, each with a row.
        resamples: how often users are drawn.
        confidence: coverage of the interval, in (0, 1).
        seed: the same seed draws the same users.
    """
    before, after = (row_losses(labels, side) for side in (champion, challenger))
    rows = np.bincount(user).astype(np.float64)
    users = len(rows)
    sums = np.stack([rows, np.bincount(user, after - before, minlength=users)], axis=1)
    estimate = float((after - before).mean()) if users else math.nan
    freedom, short = freedom_of(rows) if users else (0.0, 0.0)
    error = reach = math.nan
    if freedom >= 1e-9 and math.isfinite(estimate):
        drawn = np.concatenate([weights @ sums for weights in draws(users, resamples, seed)])
        error = float((drawn[:, 1] / drawn[:, 0]).std(ddof=1)) / math.sqrt(1 - short)
        reach = float(stdtrit(freedom, (1 + confidence) / 2)) * error
    return LossDifference(
        champion=float(before.mean()) if users else math.nan,
        challenger=float(after.mean()) if users else math.nan,
        estimate=estimate,
        error=error,
        freedom=freedom,
        low=estimate - reach,
        high=estimate + reach,
        users=users,
    )
