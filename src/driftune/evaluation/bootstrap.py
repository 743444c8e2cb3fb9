"""Differences of two models' AUC on the same impressions, with user-clustered intervals.

Impressions of one user are not independent, so users are drawn with replacement, not rows (the
cluster bootstrap). Both models see the same resamples, which cancels the noise that they share,
and so do all parts of the rows that are compared at once.

A resample's AUC is linearised: the double sum over pairs is replaced by its Hájek projection, the
sums over each class of placements (see ``placements``), each divided by the resample's own count.
What is dropped is the degenerate part of the U-statistic, of order 1 / rows. So a resample costs
a matrix product over users and not a pass over rows.

The interval is estimate ± t · error: the bootstrap's standard error, and Student's t with the
effective number of users as degrees of freedom (F. E. Satterthwaite, Biometrics Bulletin 2 (1946);
effective clusters: A. V. Carter, K. T. Schnepel and D. G. Steigerwald, Review of Economics and
Statistics 99 (2017)). With few or unequal users the plain percentiles are too narrow; and a
stricter confidence does not need more resamples.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit

from driftune.evaluation.comparison import Comparison

CELLS = 1 << 21
MAX_DROPPED = 0.05


@dataclass(frozen=True)
class PairedDifference:
    """AUC of both models and ``estimate`` = challenger − champion with its interval.

    ``error`` is its standard error and ``freedom`` the degrees of freedom. ``error``, ``low`` and
    ``high`` are NaN when there is no interval: a class is missing or belongs to fewer than two
    effective users, or more than 5% of the ``resamples`` were ``dropped`` for lack of a class.
    ``effective_users`` is (Σn)²/Σn² over the users' row counts n.
    """

    champion: float
    challenger: float
    estimate: float
    error: float
    freedom: float
    low: float
    high: float
    rows: int
    positives: int
    users: int
    effective_users: float
    resamples: int
    dropped: int

    def p_below(self, limit: float) -> float:
        """One-sided p-value of the true difference being ``limit`` or more; NaN without an error.

        Small: the difference is significantly below ``limit``.
        """
        if self.error == 0:
            return float(self.estimate >= limit)
        return float(stdtr(self.freedom, (self.estimate - limit) / self.error))


def paired_auc_difference(
    labels: ArrayLike,
    champion: ArrayLike,
    challenger: ArrayLike,
    users: ArrayLike,
    *,
    resamples: int,
    confidence: float,
    seed: int,
) -> PairedDifference:
    """Compare two models' scores of the same rows.

    Args:
        labels: (n,) of 0 and 1.
        champion, challenger: (n,) scores of the same rows.
        users: (n,) user ids, numbers or strings.
        resamples: how often users are drawn.
        confidence: coverage of the interval, in (0, 1).
        seed: the same seed draws the same users.

    Raises:
        ValueError: for labels other than 0 and 1 or lengths that differ.
    """
    names, user = np.unique(np.asarray(users), return_inverse=True)
    one = {"": Comparison.of(labels, champion, challenger, user)}
    return paired_differences(
        one, len(names), resamples=resamples, confidence=confidence, seed=seed
    )[""]


def paired_differences(
    comparisons: Mapping[str, Comparison],
    users: int,
    *,
    resamples: int,
    confidence: float,
    seed: int,
) -> dict[str, PairedDifference]:
    """Intervals of several comparisons from the same draws of ``users`` users, by their names."""
    sums = {name: each.sums(users) for name, each in comparisons.items()}
    drawn = _resampled(list(sums.values()), users, resamples, seed)
    return {
        name: _difference(each, sums[name], drawn[:, place], confidence)
        for place, (name, each) in enumerate(comparisons.items())
    }


def effective_size(counts: np.ndarray) -> float:
    """Kish's effective number of clusters, (Σn)²/Σn²: how many equally large ones weigh as much."""
    squares = float(counts @ counts)
    return float(counts.sum()) ** 2 / squares if squares else 0.0


def _difference(
    compared: Comparison, sums: np.ndarray, drawn: np.ndarray, confidence: float
) -> PairedDifference:
    rows = sums[:, 0] + sums[:, 1]
    kept = drawn[np.isfinite(drawn)]
    dropped = len(drawn) - len(kept)
    estimate = compared.estimate
    freedom, short = _small_sample(sums, estimate)
    error = reach = float("nan")
    if dropped <= MAX_DROPPED * len(drawn) and freedom > 0:
        error = float(kept.std(ddof=1)) / math.sqrt(1 - short)
        reach = float(stdtrit(freedom, (1 + confidence) / 2)) * error
    return PairedDifference(
        champion=compared.champion,
        challenger=compared.challenger,
        estimate=estimate,
        error=error,
        freedom=freedom,
        # A difference of two areas cannot be larger, whatever few users say.
        low=max(estimate - reach, -1.0) if math.isfinite(reach) else float("nan"),
        high=min(estimate + reach, 1.0) if math.isfinite(reach) else float("nan"),
        rows=len(compared.positive),
        positives=int(compared.positive.sum()),
        users=int(np.count_nonzero(rows)),
        effective_users=effective_size(rows),
        resamples=len(drawn),
        dropped=dropped,
    )


def _small_sample(sums: np.ndarray, estimate: float) -> tuple[float, float]:
    """Degrees of freedom, and the share by which the bootstrap's variance falls short.

    Each class has those of its users' counts c if a user's rows all said the same, the worst case:
    (Σc²)²/Σc⁴ − 1, and 2Σc³/(Σc Σc²) − Σc²/(Σc)²; they are pooled by the classes' shares of the
    variance as in Welch's test. 0 degrees when a class belongs to too few users.
    """
    parts = []
    for counts, gained in ((sums[:, 0], sums[:, 2]), (sums[:, 1], sums[:, 3])):
        freedom, short = freedom_of(counts)
        off = (gained - estimate * counts) / max(counts.sum(), 1)
        parts.append((freedom, short, float(off @ off)))
    freedoms, shorts, variances = (np.array(part) for part in zip(*parts, strict=True))
    if freedoms.min() < 1e-9 or not math.isfinite(estimate):
        return 0.0, 0.0
    if not variances.sum():
        return float(freedoms.min()), float(shorts.max())
    variances /= variances.sum()
    return float(1 / np.sum(variances**2 / freedoms)), float(variances @ shorts)


def freedom_of(counts: np.ndarray) -> tuple[float, float]:
    """Degrees of freedom of a mean over users with these row counts, and the share by which the
    bootstrap's variance of it falls short, both in the worst case (see ``_small_sample``).
    """
    share = counts / max(counts.sum(), 1)
    square = float(share @ share)
    freedom = square**2 / max(float(np.sum(share**4)), 1e-300) - 1
    return freedom, 2 * float(np.sum(share**3)) / max(square, 1e-300) - square


def _resampled(sums: list[np.ndarray], users: int, resamples: int, seed: int) -> np.ndarray:
    """Every resample's differences, (resamples, comparisons); NaN where a class is missing."""
    columns = np.concatenate(sums, axis=1) if sums else np.empty((users, 0))
    totals = columns.sum(axis=0).reshape(-1, 4)
    with np.errstate(invalid="ignore"):
        estimate = totals[:, 2] / totals[:, 0]
    parts = [
        (weights @ columns).reshape(len(weights), -1, 4)
        for weights in draws(users, resamples, seed)
    ]
    drawn = np.concatenate(parts) if parts else np.empty((0, len(sums), 4))
    with np.errstate(invalid="ignore", divide="ignore"):
        differences: np.ndarray = (
            drawn[..., 2] / drawn[..., 0] + drawn[..., 3] / drawn[..., 1] - estimate
        )
    return differences


def draws(users: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Yield how often each user is drawn, (chunk, users); chunks bound the memory."""
    rng = np.random.default_rng(seed)
    chunk = max(1, CELLS // max(1, users))
    for start in range(0, resamples if users else 0, chunk):
        size = min(chunk, resamples - start)
        drawn = rng.integers(users, size=(size, users)) + users * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * users).reshape(size, users)
        yield counts.astype(np.float64)
