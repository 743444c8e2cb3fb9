"""Evidence that a champion has become worse than another model, day by day and in all.

A day says: the champion's AUC less the other's, with its standard error. Three looks, each enough
by itself: one day alone, some of the last days, and all days since promotion. The last one is
taken anew every day, which an ordinary test does not allow. So it is a test that holds whenever
it is looked at: the odds of "it has lost a half-normal amount since day j" against "it has lost
nothing" are a non-negative supermartingale, and so is their mixture over the days j on which the
loss may have begun; it ever exceeds 1/α with a chance of at most α (Ville's inequality).
Mixture over amounts: H. Robbins, Annals of Mathematical Statistics 41 (1970), and one-sided in
S. Howard, A. Ramdas, J. McAuliffe and J. Sekhon, Annals of Statistics 49 (2021); over beginnings:
J. Shin, A. Ramdas and A. Rinaldo, New England Journal of Statistics in Data Science 2 (2024).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import log_ndtr, logsumexp, ndtr

from driftune.config.guard import Guard

Verdict = Literal["worse", "holds", "insufficient"]
ONE_DAY = "one day"
SEVERAL_DAYS = "several days"
SINCE_PROMOTION = "since promotion"


@dataclass(frozen=True)
class Reading:
    """A day: the champion's AUC less the other model's, and the standard error of that."""

    estimate: float
    error: float

    @property
    def p(self) -> float:
        """One-sided p-value, small when the champion is worse; normal approximation."""
        if not self.error > 0:
            return 1.0
        return float(ndtr(self.estimate / self.error))


@dataclass(frozen=True)
class Evidence:
    """What all readings say: pooled by inverse variance, with the p-value of ``since_promotion``.

    ``rule`` is the look that found the champion worse, or says why none could.
    """

    verdict: Verdict
    rule: str
    pooled: float | None = None
    pooled_error: float | None = None
    pooled_p: float | None = None


def weigh(readings: Sequence[Reading], policy: Guard) -> Evidence:
    """Judge a champion by its readings since promotion, oldest first; the last one is today's."""
    # Equal scores differ by nothing without any error: they would outweigh every other day.
    used = [each for each in readings if each.error > 0]
    if not used:
        return Evidence("holds", "same scores")
    estimates = np.array([each.estimate for each in used])
    weights = np.array([each.error for each in used]) ** -2.0
    pooled = float(estimates @ weights / weights.sum())
    p = always_valid_p(estimates, weights, policy.loss)
    recent = [each.p <= policy.confirm.p for each in readings[-policy.confirm.of :]]
    rule = None
    if readings[-1].p <= policy.alone:
        rule = ONE_DAY
    elif recent[-1] and sum(recent) >= policy.confirm.days:
        rule = SEVERAL_DAYS
    elif p <= policy.since_promotion:
        rule = SINCE_PROMOTION
    return Evidence(
        "holds" if rule is None else "worse",
        rule or "no look finds it worse",
        pooled,
        float(weights.sum() ** -0.5),
        p,
    )


def always_valid_p(estimates: np.ndarray, weights: np.ndarray, loss: float) -> float:
    """p-value of "no day's true difference is below zero", valid at whatever day it is read.

    Args:
        estimates: (days,) differences of AUC, oldest first.
        weights: (days,) their inverse variances.
        loss: scale of the half-normal loss, in AUC, that the odds are made for.
    """
    # From each day on: evidence of a loss, and how much there is of it.
    lost = -np.cumsum((estimates * weights)[::-1])[::-1]
    amount = np.cumsum(weights[::-1])[::-1]
    spread = amount + loss**-2.0
    log_odds = (
        np.log(2)
        - np.log(loss)
        - np.log(spread) / 2
        + lost**2 / (2 * spread)
        + log_ndtr(lost / np.sqrt(spread))
    )
    begun = np.arange(1, len(estimates) + 1)
    # Weights 1 / (j (j + 1)) of the days j add up to 1; later days have odds of 1 as yet.
    log_weights = -np.log(begun) - np.log(begun + 1)
    later = -np.log(len(estimates) + 1)
    total = logsumexp(np.append(log_odds + log_weights, later))
    return float(min(1.0, np.exp(-total)))
