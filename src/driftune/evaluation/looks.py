"""Looks: a challenger may be judged on several days; what each look may spend of the error.

Group-sequential testing by error spending (K. K. G. Lan and D. L. DeMets, "Discrete sequential
boundaries for clinical trials", Biometrika 70, 1983): the chance that any look's interval
excludes zero while there is no difference stays at the error that was planned, however the rows
come in. By the share t of the planned rows, error · t^ρ is spent (K. Kim and D. L. DeMets,
Biometrika 74, 1987). ρ is small: the first look has about a twelfth of the rows that five days
bring, and a domain that has drifted loses by every day that a good challenger waits.
"""

from collections.abc import Sequence
from typing import Literal, TypedDict

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm

from driftune.config.gate import Gate
from driftune.evaluation.gate import GateReport
from driftune.evaluation.verdicts import GAINS, NO_LOSS

RHO = 1 / 3
# A look with fewer rows than this over the last one's would spend error on next to nothing new.
GROWTH = 1.05
# Rules that more rows may turn.
UNCERTAIN = frozenset(name for names in GAINS.values() for name in names)
# What a challenger waits for: enough rows to be judged at all, or to be shown to be better.
DATA, CERTAINTY = "data", "certainty"
Outcome = Literal["promote", "reject", "insufficient", "wait"]

_NODES = 96
_FARTHEST = 12.0
_SHOWN = 0.999


class Plan(TypedDict):
    """What the looks at a challenger may spend: ``error`` over at most ``looks`` and ``rows``.

    ``decisions`` share the gate's error; ``error`` is this one's part.
    """

    decisions: int
    error: float
    looks: int
    rows: int


class Look(TypedDict):
    """A look at ``rows``: its interval's confidence (None: too little data), and the error spent
    by then.
    """

    rows: int
    confidence: float | None
    spent: float


def plan(policy: Gate, rows: int, day_rows: int, decisions: int) -> Plan:
    """What the looks at a challenger may spend, fixed at the first one.

    Args:
        rows: at the first look.
        day_rows: that a day brings.
        decisions: that the error 1 - ``confidence`` is shared by (Bonferroni), itself included.
    """
    shared = decisions if policy.correction == "day" else 1
    return {
        "decisions": shared,
        "error": (1 - policy.confidence) / shared,
        "looks": policy.looks,
        "rows": rows + (policy.looks - 1) * day_rows,
    }


def is_last(policy: Gate, planned: Plan, looks: Sequence[Look]) -> bool:
    """Whether the look after ``looks`` is the last one."""
    return len(looks) + 1 >= min(policy.looks, planned["looks"])


def spend(
    policy: Gate, planned: Plan, looks: Sequence[Look], rows: int
) -> tuple[float, float, bool]:
    """Confidence of the next look's interval, error spent with it, and whether it is the last.

    The last one, and the only one that may be judged (``wait`` off), spends all that is left.
    ``looks`` that were not judged, for want of data, have spent nothing. By ``expected_gain`` no
    error is spent: what is to be expected does not depend on how often one looked.
    """
    last = is_last(policy, planned, looks) or rows >= planned["rows"]
    if policy.rule == "expected_gain":
        return policy.confidence, 0.0, last
    share = 1.0 if last or not policy.wait else rows / planned["rows"]
    spent = planned["error"] * share**RHO
    judged = [
        (look["rows"], confidence, look["spent"])
        for look in looks
        if (confidence := look["confidence"]) is not None
    ]
    bound = next_bound(
        [before for before, _, _ in judged],
        [float(norm.ppf((1 + confidence) / 2)) for _, confidence, _ in judged],
        rows,
        spent - (judged[-1][2] if judged else 0.0),
    )
    confidence = float(1 - 2 * norm.sf(bound))
    if confidence < _SHOWN:
        # A number that a reviewer can read, on the strict side.
        confidence = np.ceil(confidence * 1e4 - 1e-6) / 1e4
    return float(confidence), spent, last


def next_bound(rows: Sequence[int], bounds: Sequence[float], now: int, chance: float) -> float:
    """The z beyond which the next look crosses, with no look before it, with this ``chance``.

    Without a difference, z values over growing data are a Gaussian process whose correlation is
    the root of the ratio of rows. Integrated look by look (P. Armitage, C. K. McPherson and B. C.
    Rowe, Journal of the Royal Statistical Society A 132, 1969).

    Args:
        rows, bounds: (looks,) of those before, rows growing.
        now: rows of this look, more than before.
        chance: two-sided, positive.
    """
    if not rows:
        return float(norm.isf(chance / 2))
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    z = nodes * bounds[0]
    mass = norm.pdf(z) * weights * bounds[0]
    for before, after, bound in zip(rows, rows[1:], bounds[1:], strict=False):
        mean, spread = _moved(z, before / after)
        z = nodes * bound
        density = norm.pdf((z[:, None] - mean) / spread) / spread
        mass = (density @ mass) * weights * bound
    mean, spread = _moved(z, rows[-1] / now)

    def excess(bound: float) -> float:
        beyond = norm.sf((bound - mean) / spread) + norm.cdf((-bound - mean) / spread)
        return float(mass @ beyond) - chance

    return float(brentq(excess, 0.0, _FARTHEST, xtol=1e-10))


def outcome(report: GateReport, policy: Gate, last: bool) -> Outcome:
    """What a look ends in: with more to come, it waits where more rows may lead to a promotion.

    That is with too little data, and, with ``gate.wait``, where the estimate is above zero, the
    interval reaches the minimum effect, and nothing else speaks against the challenger. By
    ``expected_gain``: where the gain to be expected is above zero.
    """
    failed = {rule.name for rule in report.rules if rule.verdict == "fail"}
    if report.decision == "insufficient":
        if failed - UNCERTAIN:
            return "reject"
        return "insufficient" if last else "wait"
    if report.decision == "promote" or last or not policy.wait:
        return report.decision
    difference, expected = report.difference, report.posterior
    if expected is not None:
        hopeful = expected.mean > 0 and NO_LOSS not in failed
    else:
        hopeful = difference is not None and (
            difference.estimate > 0 and difference.high >= policy.min_effect
        )
    return "wait" if hopeful and failed <= UNCERTAIN else "reject"


def _moved(z: np.ndarray, ratio: float) -> tuple[np.ndarray, float]:
    """Mean and spread of a later z, given earlier ones at this ratio of rows."""
    return z * np.sqrt(ratio), float(np.sqrt(1 - ratio))
