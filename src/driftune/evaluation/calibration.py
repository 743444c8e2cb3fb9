"""Calibration of one model's probabilities: the curve over ten bins, and its mean error."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

BINS = 10


@dataclass(frozen=True)
class CurvePoint:
    """One bin of a calibration curve: mean prediction, share of positives, rows."""

    predicted: float
    actual: float
    rows: int


def calibration_curve(
    labels: ArrayLike, probabilities: ArrayLike, bins: int = BINS
) -> list[CurvePoint]:
    """Predicted and actual rates in bins of about equally many rows, lowest predictions first.

    The bins' edges are quantiles of the predictions, as scikit-learn's ``strategy="quantile"``
    has them; equal predictions share a bin, and a bin that stays empty is left out.

    Args:
        labels: (n,) of 0 and 1.
        probabilities: (n,) in [0, 1].
        bins: how many quantiles.
    """
    positive = np.asarray(labels, dtype=np.float64)
    probability = np.asarray(probabilities, dtype=np.float64)
    if not len(probability):
        return []
    edges = np.percentile(probability, np.linspace(0, 1, bins + 1) * 100)
    bin_of = np.searchsorted(edges[1:-1], probability)
    rows = np.bincount(bin_of, minlength=bins)
    predicted = np.bincount(bin_of, probability, minlength=bins)
    actual = np.bincount(bin_of, positive, minlength=bins)
    return [
        CurvePoint(float(predicted[n] / rows[n]), float(actual[n] / rows[n]), int(rows[n]))
        for n in np.flatnonzero(rows)
    ]


def expected_calibration_error(curve: list[CurvePoint]) -> float:
    """Mean distance of predicted from actual rates over a curve's bins, weighted by rows.

    M. P. Naeini, G. F. Cooper and M. Hauskrecht, AAAI (2015). NaN without rows.
    """
    rows = sum(point.rows for point in curve)
    if not rows:
        return float("nan")
    return sum(point.rows * abs(point.predicted - point.actual) for point in curve) / rows
