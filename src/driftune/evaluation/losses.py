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
    worse. ``error``, ``low`` and ``high`` are NaN with fewer than two effective users, and so is
    ``excess_error``.

    ``tolerance``: the share of the champion's log loss by which it may rise, and ``excess`` how
    far it rises beyond that: challenger − (1 + tolerance) · champion. What is tolerated is
    estimated from the same rows, so that the excess has an error of its own.
    """

    champion: float
    challenger: float
    estimate: float
    error: float
    freedom: float
    low: float
    high: float
    users: int
    tolerance: float
    excess: float
    excess_error: float

    def p_beyond(self) -> float:
        """One-sided p-value of the true excess being 0 or less; NaN without an error.

        Small: the log loss rises significantly by more than is tolerated.
        """
        if self.excess_error == 0:
            return float(self.excess <= 0)
        return float(stdtr(self.freedom, -self.excess / self.excess_error))


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
    tolerance: float,
) -> LossDifference:
    """Compare two models' probabilities of the same rows.

    Args:
        labels: (n,) of 0 and 1.
        champion, challenger: (n,) probabilities.
        user: (n,) user numbers from 0, each with a row.
        resamples: how often users are drawn.
        confidence: coverage of the interval, in (0, 1).
        seed: the same seed draws the same users.
        tolerance: share of the champion's log loss by which it may rise.
    """
    before, after = (row_losses(labels, side) for side in (champion, challenger))
    rows = np.bincount(user).astype(np.float64)
    users = len(rows)
    rise, beyond = after - before, after - (1 + tolerance) * before
    sums = np.stack(
        [rows, *(np.bincount(user, each, minlength=users) for each in (rise, beyond))], axis=1
    )
    estimate = float(rise.mean()) if users else math.nan
    freedom, short = freedom_of(rows) if users else (0.0, 0.0)
    error = reach = excess_error = math.nan
    if freedom >= 1e-9 and math.isfinite(estimate):
        drawn = np.concatenate([weights @ sums for weights in draws(users, resamples, seed)])
        means = drawn[:, 1:] / drawn[:, :1]
        error, excess_error = (means.std(axis=0, ddof=1) / math.sqrt(1 - short)).tolist()
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
        tolerance=tolerance,
        excess=float(beyond.mean()) if users else math.nan,
        excess_error=excess_error,
    )
