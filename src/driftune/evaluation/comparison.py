"""One paired comparison of two models: who gained how much on which rows, summed by user."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from driftune.evaluation.placements import placements


@dataclass(frozen=True)
class Comparison:
    """What two models made of some rows: (n,) labels, (n,) placements gained, (n,) user numbers.

    ``positive`` is boolean, ``gained`` the challenger's minus the champion's placements, ``user``
    counts from 0 over all users that are resampled, whether these rows hold them or not.
    """

    positive: np.ndarray
    gained: np.ndarray
    user: np.ndarray
    champion: float
    challenger: float

    @classmethod
    def of(
        cls, labels: ArrayLike, champion: ArrayLike, challenger: ArrayLike, user: np.ndarray
    ) -> "Comparison":
        """Rank the rows by both models' scores.

        Raises:
            ValueError: for labels other than 0 and 1 or lengths that differ.
        """
        values = np.asarray(labels, dtype=np.float64)
        if values.ndim != 1 or not ((values == 0) | (values == 1)).all():
            raise ValueError("labels must be a flat array of 0 and 1")
        scores = [np.asarray(each, dtype=np.float64) for each in (champion, challenger)]
        for each in (*scores, user):
            if each.shape != values.shape:
                raise ValueError(f"{each.shape} values or users for {values.shape} labels")
        positive = values == 1
        before, after = (
            placements(positive, each) if np.isfinite(each).all() else np.full(len(each), np.nan)
            for each in scores
        )
        champion_auc, challenger_auc = (
            float(each[positive].mean()) if positive.any() else math.nan for each in (before, after)
        )
        return cls(positive, after - before, user, champion_auc, challenger_auc)

    @property
    def estimate(self) -> float:
        """Challenger's AUC minus champion's."""
        return self.challenger - self.champion

    def sums(self, users: int) -> np.ndarray:
        """Per user: positives, negatives, and the placements that either gained, (users, 4)."""
        found = np.empty((users, 4))
        for side, mask in enumerate((self.positive, ~self.positive)):
            owner = self.user[mask]
            found[:, side] = np.bincount(owner, minlength=users)
            found[:, side + 2] = np.bincount(owner, self.gained[mask], minlength=users)
        return found
