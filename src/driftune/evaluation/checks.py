"""Rules by which the gate checks itself: order of its figures, halves, DeLong, A/A."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from scipy.special import ndtr

from driftune.evaluation.bootstrap import PairedDifference
from driftune.evaluation.placements import DeLong
from driftune.evaluation.verdicts import DELONG, Rule, Verdict

HALVES_P = 0.01
# Rows of one user that say the same widen the bootstrap's error, up to the root of their number.
DELONG_RATIO = (0.5, 5.0)


def halves_of(users: np.ndarray) -> np.ndarray:
    """The half, 0 or 1, that each user id falls into: by a hash that no run or machine changes.

    Args:
        users: (u,) distinct ids, numbers or strings.
    """
    from pandas.util import hash_array

    plain = users if users.dtype.kind in "iufb" else users.astype(str).astype(object)
    hashed: np.ndarray = hash_array(plain, categorize=False) >> np.uint64(32)
    return (hashed & np.uint64(1)).astype(np.int64)


def order_rule(difference: PairedDifference, figures: Iterable[float]) -> Rule:
    """The difference, its interval and the metrics that decide must be numbers, and in order."""
    bad = sum(not math.isfinite(each) for each in figures)
    ordered = difference.low <= difference.estimate <= difference.high
    limit = "numbers; low ≤ estimate ≤ high"
    if bad or not ordered:
        what = f"{bad} figures are not numbers" if bad else "the interval's ends are out of order"
        return Rule("figures in order", "fail", float(bad), limit, f"Figures: {what}")
    sentence = "The figures that decide are numbers, and the estimate lies in its interval"
    return Rule("figures in order", "pass", 0.0, limit, sentence)


def halves_rule(halves: Sequence[PairedDifference]) -> Rule:
    """The two halves of the users must not contradict each other significantly."""
    first, second = halves
    limit = f"p ≥ {HALVES_P:g}"
    gap = first.estimate - second.estimate
    error = math.hypot(first.error, second.error)
    if not math.isfinite(gap) or not math.isfinite(error):
        sentence = "A half of the users has no interval of its own"
        return Rule("halves", "insufficient", None, limit, sentence)
    z = 0.0 if gap == 0 else abs(gap) / error if error else math.inf
    p = 2 * float(ndtr(-z))
    agree = p >= HALVES_P
    sentence = (
        f"Two halves of the users {'agree' if agree else 'contradict each other'}: "
        f"{first.estimate:+.4f} and {second.estimate:+.4f} (p {p:.2g})"
    )
    return Rule("halves", "pass" if agree else "fail", p, limit, sentence)


def delong_rule(difference: PairedDifference, check: DeLong) -> Rule:
    """DeLong's interval must not contradict the bootstrap's; an odd width is pointed out."""
    limit = "no contradiction in sign"
    if not math.isfinite(check.error):
        return Rule(DELONG, "fail", None, limit, "DeLong's check could not be computed")
    opposed = (check.low > 0 and difference.high < 0) or (check.high < 0 and difference.low > 0)
    ratio = difference.error / check.error if check.error else 1.0
    odd = not DELONG_RATIO[0] <= ratio <= DELONG_RATIO[1]
    verdict: Verdict = "fail" if opposed else "unknown" if odd else "pass"
    word = {"fail": "contradicts", "unknown": "has another width than", "pass": "agrees with"}
    sentence = (
        f"DeLong's interval by rows, blind to rows of one user, {word[verdict]} the bootstrap's: "
        f"{check.estimate:+.4f} ({check.low:+.4f} to {check.high:+.4f}); the bootstrap's error is "
        f"{ratio:.2f} times as large"
    )
    return Rule(DELONG, verdict, ratio, limit, sentence)


def self_rule(itself: PairedDifference, promoted: bool) -> Rule:
    """The champion against itself must differ by exactly 0 and not pass for a gain.

    ``promoted``: whether it passed the rules of a gain as its own challenger.
    """
    limit = "exactly 0, no promotion"
    if (itself.estimate, itself.low, itself.high) == (0, 0, 0) and not promoted:
        sentence = "The champion against itself differs by exactly 0 and is not promoted"
        return Rule("A/A", "pass", 0.0, limit, sentence)
    passed = " and is promoted" if promoted else ""
    sentence = (
        f"The champion against itself differs by {itself.estimate:+.3g}{passed}: the gate is broken"
    )
    return Rule("A/A", "fail", itself.estimate, limit, sentence)
