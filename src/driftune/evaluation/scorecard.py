"""Everything that the gate measures of one model on the gate's rows."""

import numpy as np

from driftune.evaluation.calibration import calibration_curve, expected_calibration_error
from driftune.evaluation.metrics import calibration_ratio, gauc, log_loss, summary


def scorecard(
    click: np.ndarray,
    convert: np.ndarray | None,
    user: np.ndarray,
    p_click: np.ndarray,
    p_ctcvr: np.ndarray,
) -> dict[str, float]:
    """All metrics of one model: those of ``summary``, and the same of both labels and by user.

    Args:
        click, convert: (n,) of 0 and 1; without conversions those of CTCVR are left out.
        user: (n,) user numbers.
        p_click, p_ctcvr: (n,) probabilities of a click, and of a click that converts.

    Raises:
        ValueError: for labels other than 0 and 1 or lengths that differ.
    """
    clicks = {
        **summary(click, convert, p_click, p_ctcvr),
        "ctr_gauc": gauc(click, p_click, user),
        "ctr_ece": expected_calibration_error(calibration_curve(click, p_click)),
    }
    if convert is None:
        return clicks
    bought = np.asarray(click) * np.asarray(convert)
    return {
        **clicks,
        "ctcvr_gauc": gauc(bought, p_ctcvr, user),
        "ctcvr_log_loss": log_loss(bought, p_ctcvr),
        "ctcvr_calibration": calibration_ratio(bought, p_ctcvr),
        "ctcvr_ece": expected_calibration_error(calibration_curve(bought, p_ctcvr)),
    }
