"""Chance: how far apart two samples of one distribution are, by drawing them."""

import hashlib

import numpy as np

DRAWS = 100


def draw_pair(
    seed: str, shares: np.ndarray, sizes: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Counts (draws, cells) of samples in two sizes from the same shares (cells,)."""
    number = int(hashlib.sha256(seed.encode()).hexdigest()[:16], 16)
    rng = np.random.default_rng(number)
    left, right = (rng.multinomial(size, shares, DRAWS).astype(float) for size in sizes)
    return left, right


def of_chance(squares: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean squared distance per unit of ``sizes``, and its degrees of freedom (domains,).

    ``squares`` (domains, draws) of which some may be NaN; ``sizes`` (domains,) are 1/n + 1/m.
    """
    known = np.isfinite(squares)
    number = np.maximum(known.sum(axis=-1), 1)
    means = np.where(known, squares, 0.0).sum(axis=-1) / number
    apart = np.where(known, squares - means[:, None], 0.0)
    variances = (apart**2).sum(axis=-1) / number
    # One cell alone: only what is new can be a distance, and one row of it is half chance.
    alone = means <= 0
    freedom = np.maximum(1.0, 2 * means**2 / np.maximum(variances, 1e-300))
    return np.where(alone, 1.0, means / sizes), np.where(alone, 1.0, freedom)
