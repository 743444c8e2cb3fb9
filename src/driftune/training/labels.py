"""Labels of the reference days: whether there is anything to learn from, and to measure by."""

import logging
from collections.abc import Mapping

from driftune.config import Config
from driftune.errors import BackboneError
from driftune.training.holdout import more_held_out
from driftune.training.rows import Rows

log = logging.getLogger("driftune")


def require_labels(config: Config, rows: Rows) -> None:
    """See that rows to train on hold both clicks and impressions without one.

    Without conversions the backbone is trained all the same, and a warning says what that means
    where ``columns`` name them.

    Raises:
        BackboneError: naming the label that is missing.
    """
    clicks, days = int(rows.click.sum()), config.reference
    where = f"{config.source_file}: the reference days {days.first} to {days.last} hold"
    if clicks == 0:
        raise BackboneError(
            f"{where} no click among {len(rows):,} impressions, nothing to learn; check "
            "columns.click, or name days with clicks under reference"
        )
    if clicks == len(rows):
        raise BackboneError(
            f"{where} no impression without a click, nothing to learn; deliver all that was shown, "
            "not clicks alone, or have rows without a click drawn: negatives: {per_positive: 4, "
            "from: domain_day}; and check columns.click"
        )
    if config.columns.convert is not None and not int((rows.click * rows.convert).sum()):
        judged = ""
        if config.gate.metric == "ctcvr_auc":
            judged = "; gate.metric = ctcvr_auc promotes nothing without conversions"
        log.warning(
            "%s no conversion: clicks are learnt from, conversions are predicted as next to none "
            "and their AUC is not measured%s",
            *(where, judged),
        )


def tell_unmeasured(config: Config, metrics: Mapping[str, float]) -> None:
    """Warn of held-out rows by which the backbone's AUC of clicks cannot be measured."""
    rows, clicks = int(metrics["rows"]), int(metrics["clicks"])
    if clicks in (0, rows):
        missing = "impression without a click" if clicks else "click"
        log.warning(
            "the %s held-out reference rows hold no %s: ctr_auc is not measured; %s",
            *(f"{rows:,}", missing, more_held_out(config)),
        )
