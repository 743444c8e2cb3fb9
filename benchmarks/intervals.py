"""Intervals over seeds and users: both are drawn anew, the same for every method."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from driftune.evaluation.bootstrap import Ranking
from driftune.training.rows import Rows

CHUNK = 25


@dataclass(frozen=True)
class Scored:
    """A method's test figures: AUC by seed and domain, and its mean over domains per draw.

    ``points`` (seeds, domains); ``draws`` (seeds, resamples).
    """

    points: np.ndarray
    draws: np.ndarray

    @property
    def mean(self) -> float:
        """Mean over seeds and domains."""
        return float(self.points.mean())


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
        for one in scores:
            ranks = [
                Ranking.of(labels[mask] > 0, one[mask], self.users[mask]) for mask in self.masks
            ]
            plain = np.ones((self.counts.shape[0], 1))
            points.append([float(rank.auc(plain)[0]) for rank in ranks])
            parts = [
                np.mean([rank.auc(chunk) for rank in ranks], axis=0)
                for chunk in np.array_split(self.counts, self.counts.shape[1] // CHUNK + 1, axis=1)
            ]
            draws.append(np.concatenate(parts))
        return Scored(np.array(points), np.array(draws))

    def interval(self, scored: Scored, other: Scored | None = None) -> tuple[float, float]:
        """95% interval of the mean over seeds, or of the difference to ``other``."""
        draws = scored.draws if other is None else scored.draws - other.draws
        mixed = draws[self.seeds, np.arange(draws.shape[1])[:, None]].mean(axis=1)
        low, high = np.nanpercentile(mixed, [2.5, 97.5])
        return float(low), float(high)
