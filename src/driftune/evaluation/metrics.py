"""Metrics of one model on labelled impressions; NaN wherever a metric is not defined."""

import numpy as np
from numpy.typing import ArrayLike


def auc(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Exact area under the ROC curve, ties counted half (Mann-Whitney U over pairs).

    Args:
        labels: (n,) of 0 and 1.
        scores: (n,), larger means more likely 1.
        weights: (n,) finite and not negative; None weighs all rows alike.

    Returns:
        The area in [0, 1]; NaN when a class is missing (or has no weight) or a score is not finite.

    Raises:
        ValueError: for labels other than 0 and 1, lengths that differ or unusable weights.
    """
    positive = _labels(labels)
    score = _same_length(scores, positive)
    weight = np.ones(len(score)) if weights is None else _same_length(weights, positive)
    if not (np.isfinite(weight) & (weight >= 0)).all():
        raise ValueError("weights must be finite and not negative")
    if len(score) == 0 or not np.isfinite(score).all():
        return float("nan")
    order = np.argsort(score)
    ranked = score[order]
    first_of_tie = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    wins = np.add.reduceat((weight * positive)[order], first_of_tie)
    losses = np.add.reduceat((weight * (1 - positive))[order], first_of_tie)
    pairs = wins.sum() * losses.sum()
    if pairs == 0:
        return float("nan")
    return float(wins @ (np.cumsum(losses) - losses / 2) / pairs)


def gauc(labels: ArrayLike, scores: ArrayLike, users: ArrayLike) -> float:
    """Mean of the users' own AUCs, weighted by their impressions (group AUC).

    Users with one class only have no AUC and are left out. H. Zhu et al., KDD (2017).

    Args:
        labels: (n,) of 0 and 1.
        scores: (n,), larger means more likely 1.
        users: (n,) user ids.

    Returns:
        The mean in [0, 1]; NaN when no user has both classes or a score is not finite.

    Raises:
        ValueError: for labels other than 0 and 1 or lengths that differ.
    """
    positive = _labels(labels)
    score = _same_length(scores, positive)
    names, user = np.unique(np.asarray(users), return_inverse=True)
    if user.shape != positive.shape:
        raise ValueError(f"{user.shape} users for {positive.shape} labels")
    if not len(score) or not np.isfinite(score).all():
        return float("nan")
    order = np.lexsort((score, user))
    owner, ranked, won = user[order], score[order], positive[order]
    changes = (owner[1:] != owner[:-1]) | (ranked[1:] != ranked[:-1])
    first_of_tie = np.flatnonzero(np.r_[True, changes])
    owner = owner[first_of_tie]
    wins = np.add.reduceat(won, first_of_tie)
    losses = np.add.reduceat(1 - won, first_of_tie)
    won_of, lost_of = (np.bincount(owner, each, minlength=len(names)) for each in (wins, losses))
    below = np.cumsum(losses) - losses / 2 - (np.cumsum(lost_of) - lost_of)[owner]
    pairs = won_of * lost_of
    both = pairs > 0
    if not both.any():
        return float("nan")
    areas = np.bincount(owner, wins * below, minlength=len(names))[both] / pairs[both]
    return float(np.average(areas, weights=(won_of + lost_of)[both]))


def log_loss(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Mean negative log-likelihood in nats, probabilities kept off 0 and 1 by one float64 epsilon.

    Raises:
        ValueError: for labels other than 0 and 1 or lengths that differ.
    """
    positive = _labels(labels)
    probability = _same_length(probabilities, positive)
    if len(probability) == 0:
        return float("nan")
    epsilon = np.finfo(np.float64).eps
    safe = np.clip(probability, epsilon, 1 - epsilon)
    return float(-np.mean(positive * np.log(safe) + (1 - positive) * np.log1p(-safe)))


def calibration_ratio(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Predicted positives per actual positive; 1 is calibrated, NaN without positives.

    Raises:
        ValueError: for labels other than 0 and 1 or lengths that differ.
    """
    positive = _labels(labels)
    probability = _same_length(probabilities, positive)
    actual = positive.sum()
    return float(probability.sum() / actual) if actual else float("nan")


def summary(
    clicks: ArrayLike,
    converts: ArrayLike | None,
    p_click: ArrayLike,
    p_ctcvr: ArrayLike,
    shown: ArrayLike | None = None,
) -> dict[str, float]:
    """All metrics of one model: CTR on clicks, CTCVR on clicks that converted.

    Args:
        clicks, converts: (n,) of 0 and 1; without conversions those of CTCVR are left out.
        p_click, p_ctcvr: (n,) probabilities of a click, and of a click that converts.
        shown: (n,) probabilities of a click where the rows were shown, by default ``p_click``.

    Raises:
        ValueError: for labels other than 0 and 1 or lengths that differ.
    """
    shown = p_click if shown is None else shown
    click = _labels(clicks)
    bought = None if converts is None else click * _labels(converts)
    return {
        "ctr_auc": auc(click, p_click),
        **({} if bought is None else {"ctcvr_auc": auc(bought, p_ctcvr)}),
        "ctr_log_loss": log_loss(click, shown),
        "ctr_calibration": calibration_ratio(click, shown),
        "rows": len(click),
        "clicks": int(click.sum()),
        **({} if bought is None else {"conversions": int(bought.sum())}),
    }


def _labels(labels: ArrayLike) -> np.ndarray:
    values = np.asarray(labels, dtype=np.float64)
    if values.ndim != 1 or not np.isin(values, (0.0, 1.0)).all():
        raise ValueError("labels must be a flat array of 0 and 1")
    return values


def _same_length(values: ArrayLike, labels: np.ndarray) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != labels.shape:
        raise ValueError(f"{array.shape} values for {labels.shape} labels")
    return array
