"""What rival policies look at: a champion's log loss of a day, and how far rows have moved."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

import numpy as np
import torch

from driftune.config import Config
from driftune.evaluation.metrics import auc
from driftune.models.esmm import ESMM
from driftune.policies.follow import Meter, Served
from driftune.training.rows import Rows

# Rows of a domain and day whose representations are compared.
SAMPLE = 300
LEAST = 1e-7


class Loss(NamedTuple):
    """Log loss of a day's clicks in nats per impression, and its standard error."""

    mean: float
    error: float


class WatchingMeter(Meter):
    """A meter that keeps what rivals need: losses by what served, representations by day."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.losses: dict[Served, Loss] = {}
        self.samples: dict[Served, np.ndarray] = {}

    def measure(
        self, served: Served, rows: Rows, p_click: np.ndarray, p_ctcvr: np.ndarray
    ) -> float:
        """What ``quality`` says of the rows."""
        self.losses[served] = log_loss(rows.click.numpy(), p_click)
        base = served._replace(champion="base")
        if base not in self.samples:
            self.samples[base] = self._representations(rows)
        return self.quality(served, rows, p_click)

    def quality(self, served: Served, rows: Rows, p_click: np.ndarray) -> float:
        """CTR-AUC of the rows by their labels."""
        return auc(rows.click.numpy(), p_click)

    @torch.inference_mode()
    def _representations(self, rows: Rows) -> np.ndarray:
        """What the frozen model makes of some of the rows, (rows, width)."""
        some = np.linspace(0, len(rows) - 1, min(SAMPLE, len(rows))).astype(int)
        ids, numbers = self.model.inputs(rows.take(some))
        if not isinstance(self.model, ESMM):
            raise TypeError("the benchmark's rivals read the built-in recommender alone")
        found: np.ndarray = self.model.representation(ids, numbers).double().cpu().numpy()
        return found


def log_loss(click: np.ndarray, p: np.ndarray) -> Loss:
    """Log loss of labels (rows,) under probabilities (rows,)."""
    safe = np.clip(p, LEAST, 1 - LEAST)
    each = -np.where(click > 0, np.log(safe), np.log(1 - safe))
    return Loss(float(each.mean()), float(each.std(ddof=1) / sqrt(len(each))))


def mmd(one: np.ndarray, other: np.ndarray) -> float:
    """Squared maximum mean discrepancy of two samples (rows, width), unbiased.

    Gaussian kernel, the median distance its width (A. Gretton et al., A kernel two-sample test,
    JMLR 13, 2012).
    """
    both = np.concatenate([one, other])
    norms = np.square(both).sum(axis=1)
    squared = np.maximum(norms[:, None] + norms - 2 * both @ both.T, 0)
    kernel = np.exp(-squared / max(float(np.median(squared)), LEAST))
    n, m = len(one), len(other)
    within = (kernel[:n, :n].sum() - n) / (n * (n - 1))
    beyond = (kernel[n:, n:].sum() - m) / (m * (m - 1))
    return float(within + beyond - 2 * kernel[:n, n:].mean())


@dataclass
class Cusum:
    """A one-sided CUSUM of standardised values (E. S. Page, Continuous inspection schemes, 1954).

    Values rise by ``slack`` standard deviations before they count, ``limit`` alarms. The level is
    the mean of the values so far (self-starting: D. M. Hawkins, Self-starting cusum charts, 1987).
    """

    slack: float = 0.5
    limit: float = 4.0
    level: float = 0.0
    weight: float = 0.0
    total: float = 0.0
    run: int = 0
    """Values since the sum was last zero: the change is estimated to have come with the first."""

    def add(self, value: float, error: float) -> bool:
        """Take a value with its standard error; returns whether it alarms. The first never does."""
        if self.weight:
            spread = sqrt(error**2 + 1 / self.weight)
            self.total = max(0.0, self.total + (value - self.level) / spread - self.slack)
            self.run = self.run + 1 if self.total else 0
        # From all values: a level of days without a sign of change alone would be too low.
        weight = 1 / error**2
        self.level = (self.level * self.weight + value * weight) / (self.weight + weight)
        self.weight += weight
        return self.total > self.limit


@dataclass
class Forecast:
    """Bayesian linear regression: what a fine-tune gains over the base, by its age in days.

    ``rows`` have features and targets; prior: coefficients of variance ``prior``².
    """

    features: list[Sequence[float]]
    targets: list[float]
    prior: float = 0.02
    noise: float = 0.005

    def of(self, design: Sequence[float]) -> tuple[float, float]:
        """Mean and standard deviation of the coefficients' product with ``design``."""
        x, y = np.array(self.features), np.array(self.targets)
        wanted = np.array(design)
        precision = np.eye(len(wanted)) / self.prior**2
        if not len(y):
            return 0.0, float(self.prior * np.linalg.norm(wanted))
        precision = precision + x.T @ x / self.noise**2
        mean = np.linalg.solve(precision, x.T @ y / self.noise**2)
        return float(wanted @ mean), sqrt(float(wanted @ np.linalg.solve(precision, wanted)))
