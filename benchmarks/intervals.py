"""Intervals over seeds and users: both are drawn anew, the same for every method."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from driftune.training.rows import Rows

CHUNK = 25
MOST_UNDEFINED = 0.05


@dataclass(frozen=True)
class Scored:
    """A method's AUC: ``points`` (seeds, domains) and ``draws`` (seeds, resamples, domains)."""

    points: np.ndarray
    draws: np.ndarray

    def __sub__(self, other: "Scored") -> "Scored":
        """The difference, paired by seed and by draw."""
        return Scored(self.points - other.points, self.draws - other.draws)

    @property
    def mean(self) -> float:
        """Mean over seeds and domains."""
        return float(self.points.mean())

    def domain(self, number: int) -> "Scored":
        """The figures of one domain."""
        return Scored(self.points[:, [number]], self.draws[:, :, [number]])


class Resamples:
    """Draws of the test users, and of the seeds."""

    def __init__(self, rows: Rows, domains: Sequence[str], seeds: int, count: int) -> None:
        random = np.random.default_rng(0)
        _, self.users = np.unique(rows.user, return_inverse=True)
        size = int(self.users.max()) + 1
        drawn = [
            np.bincount(random.integers(size, size=size), minlength=size) for _ in range(count)
        ]
        self.counts = np.stack(drawn, axis=1).astype(np.float64)
        self.seeds = random.integers(seeds, size=(count, seeds))
        self.masks = [rows.domain_key == domain for domain in domains]

    def score(self, labels: np.ndarray, scores: Sequence[np.ndarray]) -> Scored:
        """AUC of the scores of each seed, (rows,) each, against the labels (rows,)."""
        points, draws = [], []
        plain = np.ones((self.counts.shape[0], 1))
        chunks = np.array_split(self.counts, self.counts.shape[1] // CHUNK + 1, axis=1)
        for one in scores:
            ranks = [
                Ranking.of(labels[mask] > 0, one[mask], self.users[mask]) for mask in self.masks
            ]
            points.append([float(rank.auc(plain)[0]) for rank in ranks])
            draws.append(
                np.stack([np.concatenate([rank.auc(each) for each in chunks]) for rank in ranks], 1)
            )
        return Scored(np.array(points), np.array(draws))

    def drawn(self, scored: Scored) -> np.ndarray:
        """The mean over seeds and domains under each draw of users and seeds, (resamples,).

        A bootstrap of n seeds has (n − 1)/n of their variance; deviations are scaled to make up.
        """
        means = scored.draws.mean(axis=2)
        center, count = means.mean(axis=0), len(means)
        mixed = means[self.seeds, np.arange(means.shape[1])[:, None]].mean(axis=1)
        return center + np.sqrt(count / max(1, count - 1)) * (mixed - center)

    def interval(self, scored: Scored) -> tuple[float, float]:
        """95% interval of the mean; NaN where too many draws leave a domain without a class."""
        return percentiles(self.drawn(scored))

    def row_error(self, scored: Scored) -> float:
        """Standard error of the mean from the test rows alone."""
        return float(np.nanstd(scored.draws.mean(axis=(0, 2)), ddof=1))


def percentiles(values: np.ndarray) -> tuple[float, float]:
    """2.5% and 97.5% of the values; NaN where more than 5% of them are not numbers."""
    if np.isnan(values).mean() > MOST_UNDEFINED:
        return float("nan"), float("nan")
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)


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
        """The ranking of rows by their scores."""
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
