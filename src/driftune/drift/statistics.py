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
    # Sums of counts are exact: far cells, which may stand for huge values, add no rounding.
    apart = np.abs(_shares(left, np.cumsum(left, axis=-1)) - _shares(right, np.cumsum(right, -1)))
    gaps = (apart[..., :-1] * np.diff(values)).sum(axis=-1)
    q = _shares(right)
    mean = (q * values).sum(axis=-1, keepdims=True)
    spread = np.sqrt((q * (values - mean) ** 2).sum(axis=-1))
    return np.asarray(gaps / np.maximum(spread, 1e-3))


def binned_auc(negatives: np.ndarray, positives: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AUC and its variance (…,) from counts (…, score cells), ties counted half.

    The variance is that of DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988). Both are NaN
    with fewer than two rows of a class.
    """
    wins, losses = (side.sum(axis=-1, keepdims=True) for side in (positives, negatives))
    enough = np.minimum(wins, losses) >= 2
    of_wins, of_losses = (np.where(enough, side, np.nan) for side in (wins, losses))
    beaten = (np.cumsum(negatives, axis=-1) - negatives / 2) / of_losses
    beating = (wins - np.cumsum(positives, axis=-1) + positives / 2) / of_wins
    area = (positives * beaten).sum(axis=-1, keepdims=True) / of_wins
    above = (positives * (beaten - area) ** 2).sum(axis=-1) / (of_wins - 1)[..., 0]
    below = (negatives * (beating - area) ** 2).sum(axis=-1) / (of_losses - 1)[..., 0]
    variance = above / of_wins[..., 0] + below / of_losses[..., 0]
    return np.asarray(area[..., 0]), np.asarray(variance)


def _shares(counts: np.ndarray, parts: np.ndarray | None = None) -> np.ndarray:
    """Counts (…, cells), or ``parts`` of them, as shares of their sum; NaN without a row."""
    totals = counts.sum(axis=-1, keepdims=True)
    divided: np.ndarray = np.divide(
        counts if parts is None else parts,
        totals,
        out=np.full(counts.shape, np.nan, dtype=float),
        where=totals > 0,
    )
    return divided


def _relative_entropy(p: np.ndarray, middle: np.ndarray) -> np.ndarray:
    # 0 · log 0 is 0; NaN shares stay NaN.
    ratio = np.divide(p, middle, out=np.ones_like(p), where=p != 0)
    return np.asarray((p * np.log(ratio)).sum(axis=-1))
