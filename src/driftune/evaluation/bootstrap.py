"""Difference of two models' AUC on the same impressions, with a user-clustered interval.

Impressions of one user are not independent, so users are drawn with replacement, not rows (the
cluster bootstrap): in a resample every row weighs as often as its user was drawn. Both models see
the same resamples, which cancels the noise that they share.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from driftune.evaluation.metrics import auc

CELLS = 1 << 19
MAX_DROPPED = 0.05


@dataclass(frozen=True)
class PairedDifference:
    """AUC of both models and ``estimate`` = challenger − champion with its interval.

    ``low`` and ``high`` are NaN when there is no interval: a class is missing, there are fewer
    than two users, or more than 5% of the ``resamples`` were ``dropped`` for lack of a class.
    ``effective_users`` is (Σn)²/Σn² over the users' row counts n.
    """

    champion: float
    challenger: float
    estimate: float
    low: float
    high: float
    users: int
    effective_users: float
    resamples: int
    dropped: int


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
    """Compare two models' scores; the interval is the percentile interval of the resamples.

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
    before, after = auc(labels, champion), auc(labels, challenger)
    names, user = np.unique(np.asarray(users), return_inverse=True)
    positive = np.asarray(labels, dtype=np.float64) == 1
    if user.shape != positive.shape:
        raise ValueError(f"{user.shape} users for {positive.shape} labels")
    rows_of_user = np.bincount(user, minlength=len(names)).astype(np.float64)
    low = high = float("nan")
    dropped = 0
    if len(names) > 1 and np.isfinite(after - before):
        differences = _resampled(
            Ranking.of(positive, np.asarray(champion, dtype=np.float64), user),
            Ranking.of(positive, np.asarray(challenger, dtype=np.float64), user),
            _draws(len(names), len(user), resamples, seed),
        )
        kept = differences[np.isfinite(differences)]
        dropped = resamples - len(kept)
        if dropped <= MAX_DROPPED * resamples:
            tail = (1 - confidence) / 2
            low, high = (float(end) for end in np.quantile(kept, (tail, 1 - tail)))
    return PairedDifference(
        champion=before,
        challenger=after,
        estimate=after - before,
        low=low,
        high=high,
        users=len(names),
        effective_users=effective_size(rows_of_user),
        resamples=resamples,
        dropped=dropped,
    )


def effective_size(counts: np.ndarray) -> float:
    """Kish's effective number of clusters, (Σn)²/Σn²: how many equally large ones weigh as much."""
    squares = float(counts @ counts)
    return float(counts.sum()) ** 2 / squares if squares else 0.0


def _draws(users: int, rows: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Yield how often each user is drawn, (users, chunk); chunks bound the memory."""
    rng = np.random.default_rng(seed)
    chunk = max(1, CELLS // rows)
    for start in range(0, resamples, chunk):
        size = min(chunk, resamples - start)
        drawn = rng.integers(users, size=(size, users)) + users * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * users).reshape(size, users)
        yield np.ascontiguousarray(counts.T, dtype=np.float64)


def _resampled(
    champion: "Ranking", challenger: "Ranking", draws: Iterator[np.ndarray]
) -> np.ndarray:
    """AUC difference of every resample, (resamples,); NaN where a class is missing."""
    return np.concatenate([challenger.auc(drawn) - champion.auc(drawn) for drawn in draws])


@dataclass(frozen=True)
class Ranking:
    """One model's rows, sorted once: whose they are, and how many negatives each positive beats.

    ``below`` and ``upto`` count the negatives scored below, and not above, each positive.
    """

    positive_users: np.ndarray
    negative_users: np.ndarray
    below: np.ndarray
    upto: np.ndarray

    @classmethod
    def of(cls, positive: np.ndarray, scores: np.ndarray, users: np.ndarray) -> "Ranking":
        order = np.argsort(scores, kind="stable")
        ranked, is_positive, owners = scores[order], positive[order], users[order]
        wins, losses = ranked[is_positive], ranked[~is_positive]
        return cls(
            owners[is_positive],
            owners[~is_positive],
            np.searchsorted(losses, wins, side="left"),
            np.searchsorted(losses, wins, side="right"),
        )

    def auc(self, drawn: np.ndarray) -> np.ndarray:
        """Weighted AUC under each column of ``drawn`` (users, chunk): exact, ties counted half."""
        chunk = drawn.shape[1]
        beaten = np.zeros((len(self.negative_users) + 1, chunk))
        np.cumsum(drawn[self.negative_users], axis=0, out=beaten[1:])
        weight = drawn[self.positive_users]
        wins = np.einsum("pc,pc->c", weight, beaten[self.below] + beaten[self.upto]) / 2
        pairs = weight.sum(axis=0) * beaten[-1]
        return np.divide(wins, pairs, out=np.full(chunk, np.nan), where=pairs > 0)
