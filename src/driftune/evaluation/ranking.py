"""How well a model orders the impressions of each list: NDCG@k."""

import numpy as np
from numpy.typing import ArrayLike

from driftune.evaluation.lists import by_length


def ndcg_by_list(
    gains: ArrayLike, scores: ArrayLike, lists: ArrayLike, *, k: int = 10
) -> tuple[np.ndarray, np.ndarray]:
    """NDCG@k of every list that can tell something; ties share the gains of their places.

    A gain at place r counts 1 / log2(r + 1), divided by what the best order would reach
    (Järvelin & Kekäläinen, 2002). Tied scores are averaged over their orders (McSherry & Najork,
    2008), so that rows as they come give no model an advantage. Equals scikit-learn's
    ``ndcg_score`` list by list. Lists without a positive gain and lists of one row are left out.

    Args:
        gains: (n,) finite and not negative, such as clicks.
        scores: (n,), larger means nearer to the top.
        lists: (n,) ids of the lists; negative where none is known.
        k: places that count, from the top.

    Returns:
        The lists' ids in order, and their NDCG in [0, 1]; NaN where a score is not a number.

    Raises:
        ValueError: for unusable gains, lengths that differ or k below 1.
    """
    gain = np.asarray(gains, dtype=np.float64)
    score = np.asarray(scores, dtype=np.float64)
    ids = np.asarray(lists)
    if gain.ndim != 1 or gain.shape != score.shape or gain.shape != ids.shape:
        raise ValueError(f"{score.shape} scores and {ids.shape} lists for {gain.shape} gains")
    if not (np.isfinite(gain) & (gain >= 0)).all():
        raise ValueError("gains must be finite and not negative")
    if k < 1:
        raise ValueError(f"k = {k}: at least one place must count")
    names, values = [ids[:0]], [np.empty(0)]
    for rows in by_length(ids):
        if rows.shape[1] > 1:
            rows = rows[gain[rows].any(axis=1)]
            names.append(ids[rows[:, 0]])
            values.append(_ndcg(gain[rows], score[rows], k))
    found = np.concatenate(names)
    order = np.argsort(found, kind="stable")
    return found[order], np.concatenate(values)[order]


def ndcg(gains: ArrayLike, scores: ArrayLike, lists: ArrayLike, *, k: int = 10) -> float:
    """Mean of ``ndcg_by_list``; NaN without a list that can tell something."""
    _, values = ndcg_by_list(gains, scores, lists, k=k)
    return float(values.mean()) if len(values) else float("nan")


def ranking_summary(
    clicks: ArrayLike,
    converts: ArrayLike | None,
    p_click: ArrayLike,
    p_ctcvr: ArrayLike,
    lists: ArrayLike,
    *,
    k: int = 10,
) -> dict[str, float]:
    """NDCG@k of one model on lists: graded by clicks, and by clicks that converted.

    Args:
        clicks, converts: (n,) of 0 and 1; without conversions their figures are left out.
        p_click, p_ctcvr: (n,) probabilities of a click, and of a click that converts.
        lists: (n,) ids of the lists; negative where none is known.
        k: places that count, from the top.

    Returns:
        ``ctr_ndcg`` and ``ctcvr_ndcg`` (NaN where not defined) and how many lists they stand on.

    Raises:
        ValueError: as ``ndcg_by_list``.
    """
    click = np.asarray(clicks, dtype=np.float64)
    _, by_click = ndcg_by_list(click, p_click, lists, k=k)
    found = {
        "ctr_ndcg": float(by_click.mean()) if len(by_click) else float("nan"),
        "ndcg_k": k,
        "lists_with_clicks": len(by_click),
    }
    if converts is None:
        return found
    bought = click * np.asarray(converts, dtype=np.float64)
    _, by_conversion = ndcg_by_list(bought, p_ctcvr, lists, k=k)
    return found | {
        "ctcvr_ndcg": float(by_conversion.mean()) if len(by_conversion) else float("nan"),
        "lists_with_conversions": len(by_conversion),
    }


def _ndcg(gain: np.ndarray, score: np.ndarray, k: int) -> np.ndarray:
    """NDCG@k of each row of two matrices (lists, length)."""
    length = gain.shape[1]
    discount = np.where(np.arange(length) < k, 1 / np.log2(np.arange(length) + 2), 0.0)
    order = np.argsort(-score, axis=1, kind="stable")
    ranked = np.take_along_axis(score, order, axis=1)
    first = np.ones(gain.shape, dtype=bool)
    first[:, 1:] = ranked[:, 1:] != ranked[:, :-1]
    tie = np.cumsum(first) - 1
    gained = np.bincount(tie, np.take_along_axis(gain, order, axis=1).ravel())
    shared = (gained / np.bincount(tie))[tie].reshape(gain.shape)
    best = -np.sort(-gain, axis=1) @ discount
    return np.where(np.isnan(score).any(axis=1), np.nan, shared @ discount / best)
