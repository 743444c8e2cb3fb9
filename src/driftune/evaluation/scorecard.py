"""Everything that the gate measures of one model on the gate's rows."""

from typing import Protocol

import numpy as np

from driftune.evaluation.calibration import calibration_curve, expected_calibration_error
from driftune.evaluation.metrics import calibration_ratio, gauc, log_loss, summary


class Probabilities(Protocol):
    """Of the same rows, (n,) each: of a click, and of a click that converts."""

    @property
    def p_click(self) -> np.ndarray:
        """Of a click."""

    @property
    def p_ctcvr(self) -> np.ndarray:
        """Of a click that converts."""


def scorecard(
    click: np.ndarray,
    convert: np.ndarray | None,
    user: np.ndarray,
    ranked: Probabilities,
    shown: Probabilities,
) -> dict[str, float]:
    """All metrics of one model: those of ``summary``, and the same of both labels and by user.

    Args:
        click, convert: (n,) of 0 and 1; without conversions those of CTCVR are left out.
        user: (n,) user numbers.
        ranked, shown: what the rows are ranked by, and what is held against labels.

    Raises:
        ValueError: for labels other than 0 and 1 or lengths that differ.
    """
    clicks = {
        **summary(click, convert, ranked.p_click, ranked.p_ctcvr, shown.p_click),
        "ctr_gauc": gauc(click, ranked.p_click, user),
        "ctr_ece": expected_calibration_error(calibration_curve(click, shown.p_click)),
    }
    if convert is None:
        return clicks
    bought = np.asarray(click) * np.asarray(convert)
    return {
        **clicks,
        "ctcvr_gauc": gauc(bought, ranked.p_ctcvr, user),
        "ctcvr_log_loss": log_loss(bought, shown.p_ctcvr),
        "ctcvr_calibration": calibration_ratio(bought, shown.p_ctcvr),
        "ctcvr_ece": expected_calibration_error(calibration_curve(bought, shown.p_ctcvr)),
    }
