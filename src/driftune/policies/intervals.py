"""Intervals of means over domain-days: whole domains are drawn anew, and worlds where there are.

The days of a domain share its champions, its shifts and its users; taken as independent they make
intervals too narrow.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000


@dataclass(frozen=True)
class Interval:
    """An estimate, and the bounds of its 95% interval over resampled domains."""

    value: float
    low: float
    high: float


def drawn_weights(
    worlds: Sequence[str], domains: Sequence[str], seed: int, resamples: int = RESAMPLES
) -> np.ndarray:
    """How often each cell is in each draw, (resamples, cells).

    The cluster bootstrap: worlds are drawn with replacement, then in each drawn world its domains;
    a domain keeps all its cells (A. C. Davison and D. V. Hinkley, Bootstrap Methods and their
    Application, 1997, section 3.8; C. A. Field and A. H. Welsh, Bootstrapping clustered data,
    JRSS B 69, 2007). ``worlds`` and ``domains`` name those of each cell; one world stays as it is.
    """
    random = np.random.default_rng([seed, 11])
    names = list(zip(worlds, domains, strict=True))
    clusters = sorted(set(names))
    place = {cluster: number for number, cluster in enumerate(clusters)}
    of_world: dict[str, list[int]] = {}
    for number, (world, _) in enumerate(clusters):
        of_world.setdefault(world, []).append(number)
    groups = list(of_world.values())
    weights = np.zeros((resamples, len(clusters)))
    for draw in range(resamples):
        for world in random.integers(0, len(groups), len(groups)):
            own = groups[world]
            np.add.at(weights[draw], random.choice(own, len(own)), 1)
    return weights[:, [place[name] for name in names]]


def mean_interval(values: np.ndarray, weights: np.ndarray) -> Interval:
    """The mean of the cells' values, (cells,), under ``drawn_weights``."""
    return _interval(float(values.mean()), weights @ values / weights.sum(axis=1))


def share_interval(values: np.ndarray, most: np.ndarray, weights: np.ndarray) -> Interval:
    """The mean of ``values`` as a part of the mean of ``most``, both (cells,).

    NaN where that mean is not above zero for sure: there is no share of nothing.
    """
    if not mean_interval(most, weights).low > 0:
        return Interval(np.nan, np.nan, np.nan)
    some = weights @ most > 0
    drawn = (weights[some] @ values) / (weights[some] @ most)
    return _interval(float(values.mean() / most.mean()), drawn)


def _interval(value: float, draws: np.ndarray) -> Interval:
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(value, float(low), float(high))
