"""Distances between counted windows, batched: the same figures as Evidently's, in numpy."""

import numpy as np


def jensen_shannon(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Jensen–Shannon distance of counts over the last axis, natural logarithm, square root.

    J. Lin, IEEE Transactions on Information Theory 37 (1991); NaN where a side has no counts.
    """
    p, q = _shares(left), _shares(right)
    middle = (p + q) / 2
    divergence = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    return np.asarray(np.sqrt(np.maximum(divergence, 0)))


def wasserstein(left: np.ndarray, right: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Wasserstein-1 distance of counts (…, cells), in standard deviations of ``right``.

    ``values`` (cells,), rising, are what the cells stand for. NaN where a side has no counts. A
    deviation below 0.001 counts as 0.001, as with Evidently.
    """
    p, q = _shares(left), _shares(right)
    gaps = np.abs(np.cumsum(p - q, axis=-1))[..., :-1] @ np.diff(values)
    mean = q @ values
    spread = np.sqrt(np.maximum(q @ values**2 - mean**2, 0))
    return np.asarray(gaps / np.maximum(spread, 1e-3))


def binned_auc(negatives: np.ndarray, positives: np.ndarray) -> tuple[float, float]:
    """AUC and its variance from counts per score cell, ties counted half.

    The variance is that of DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988). Both are NaN
    with fewer than two rows of a class.
    """
    wins, losses = positives.sum(), negatives.sum()
    if min(wins, losses) < 2:
        return float("nan"), float("nan")
    beaten = (np.cumsum(negatives) - negatives / 2) / losses
    beating = (wins - np.cumsum(positives) + positives / 2) / wins
    area = float(positives @ beaten / wins)
    of_wins = float(positives @ (beaten - area) ** 2) / (wins - 1)
    of_losses = float(negatives @ (beating - area) ** 2) / (losses - 1)
    return area, of_wins / wins + of_losses / losses


def _shares(counts: np.ndarray) -> np.ndarray:
    totals = counts.sum(axis=-1, keepdims=True)
    divided: np.ndarray = np.divide(
        counts, totals, out=np.full(counts.shape, np.nan, dtype=float), where=totals > 0
    )
    return divided


def _relative_entropy(p: np.ndarray, middle: np.ndarray) -> np.ndarray:
    # 0 · log 0 is 0; NaN shares stay NaN.
    ratio = np.divide(p, middle, out=np.ones_like(p), where=p != 0)
    return np.asarray((p * np.log(ratio)).sum(axis=-1))
