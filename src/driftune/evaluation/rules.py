"""The gate's rules: each turns figures into a verdict and a sentence for a reviewer.

A figure that is not a number never passes: every comparison is written so that NaN fails it.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from driftune.config.gate import Gate
from driftune.evaluation.bootstrap import PairedDifference
from driftune.evaluation.losses import LossDifference
from driftune.evaluation.slices import Slice
from driftune.evaluation.verdicts import (
    EFFECT,
    GUARDRAIL,
    INTERVAL,
    LOG_LOSS,
    SLICES,
    Rule,
    Verdict,
)

_TITLES = {"ctr_auc": "CTR-AUC", "ctcvr_auc": "CTCVR-AUC"}
_POSITIVES = {"ctr_auc": "clicks", "ctcvr_auc": "conversions"}


def input_rule(name: str, usable: np.ndarray, count: int, wanted: str) -> Rule:
    """All ``count`` values must be ``usable`` (a mask, one per row): what is ``wanted``."""
    title = name[0].upper() + name[1:]
    if usable.shape != (count,):
        sentence = f"{title}: {usable.size:,} values for {count:,} rows"
        return Rule(name, "fail", float(usable.size), f"{count} values", sentence)
    bad = count - int(np.count_nonzero(usable))
    if bad:
        sentence = f"{title}: {bad:,} of {count:,} values are not {wanted}"
        return Rule(name, "fail", float(bad), wanted, sentence)
    return Rule(name, "pass", 0.0, wanted, f"{title}: each of {count:,} values is {wanted}")


def mask_rule(masks: Mapping[str, np.ndarray], count: int) -> Rule:
    """Every slice's mask must be ``count`` booleans."""
    wanted = f"{count} booleans each"
    bad = [name for name, mask in masks.items() if mask.dtype != np.bool_ or mask.shape != (count,)]
    if bad:
        sentence = f"Slices: the masks of {', '.join(bad)} are not {count:,} booleans"
        return Rule("slice masks", "fail", float(len(bad)), wanted, sentence)
    sentence = f"Slices: each of {len(masks):,} masks is {count:,} booleans"
    return Rule("slice masks", "pass", 0.0, wanted, sentence)


def amount_rules(
    metrics: Mapping[str, float], difference: PairedDifference, policy: Gate
) -> Iterator[Rule]:
    """Rows, both classes of the metric, users and effective users must suffice for a verdict."""
    positives = _POSITIVES[policy.metric]
    amounts = {
        "rows": (metrics["rows"], policy.min_rows),
        positives: (metrics[positives], policy.min_positives),
        f"rows without {positives}": (metrics["rows"] - metrics[positives], policy.min_positives),
        "users": (difference.users, policy.min_users),
        "effective users": (math.floor(difference.effective_users), policy.min_users),
    }
    for name, (value, least) in amounts.items():
        enough = value >= least
        sentence = f"{value:,} {name}: {'enough' if enough else 'too few'}, {least:,} are needed"
        verdict: Verdict = "pass" if enough else "insufficient"
        yield Rule(f"enough {name}", verdict, float(value), f"≥ {least}", sentence)


def interval_rule(difference: PairedDifference, policy: Gate, confidence: float) -> Rule:
    """The interval of the metric's difference, at ``confidence``, must lie above zero."""
    name, limit = INTERVAL, "lower end > 0"
    title = _TITLES[policy.metric]
    if math.isnan(difference.low):
        sentence = (
            f"{title} has no interval: of {difference.resamples:,} resamples of the "
            f"{difference.users:,} users {difference.dropped:,} lack {_POSITIVES[policy.metric]} "
            "or hold nothing else"
        )
        return Rule(name, "insufficient", None, limit, sentence)
    above = difference.low > 0
    if above:
        position = "lies above zero"
    else:
        position = "lies below zero" if difference.high < 0 else "does not lie above zero"
    sentence = f"{_compared(title, difference, confidence, 0.0)} {position}"
    return Rule(name, "pass" if above else "fail", difference.low, limit, sentence)


def effect_rule(difference: PairedDifference, policy: Gate) -> Rule:
    """The metric's difference must reach ``min_effect``."""
    enough = difference.estimate >= policy.min_effect
    estimate, least = _signed(difference.estimate, policy.min_effect)
    sentence = (
        f"The {_TITLES[policy.metric]} difference {estimate} "
        f"{'reaches' if enough else 'stays below'} the smallest one that counts, {least}"
    )
    verdict: Verdict = "pass" if enough else "fail"
    return Rule(EFFECT, verdict, difference.estimate, f"≥ {policy.min_effect:g}", sentence)


def guardrail_rule(
    metric: str,
    metrics: Mapping[str, float],
    difference: PairedDifference,
    policy: Gate,
    confidence: float,
) -> Rule:
    """The other metric must not be shown to lose more than is tolerated: a non-inferiority test.

    One-sided at 1 − ``policy.confidence``, whatever ``confidence`` the interval has that is
    told: a stricter one would let more through. With too few positives for an interval the
    verdict is ``unknown``.
    """
    title, positives = _TITLES[metric], metrics[_POSITIVES[metric]]
    floor = 0.0 - policy.guardrail_tolerance
    level = 1 - policy.confidence
    limit = f"p ≥ {level:g} for a loss beyond {policy.guardrail_tolerance:g}"
    scarce = min(positives, metrics["rows"] - positives) < policy.min_positives
    if scarce or math.isnan(difference.error):
        sentence = (
            f"{title} cannot be judged: {positives:,} {_POSITIVES[metric]} in "
            f"{metrics['rows']:,} rows do not carry an interval; this does not hold up a promotion"
        )
        return Rule(GUARDRAIL, "unknown", None, limit, sentence)
    p = difference.p_below(floor)
    allowed = p >= level
    if not allowed:
        position = "shows"
    else:
        position = "excludes" if difference.low >= floor else "does not show"
    sentence = (
        f"{_compared(title, difference, confidence, floor)} {position} a loss beyond the tolerated "
        f"{policy.guardrail_tolerance:g} (p {p:.2g})"
    )
    return Rule(GUARDRAIL, "pass" if allowed else "fail", p, limit, sentence)


def log_loss_rule(difference: LossDifference, policy: Gate, confidence: float) -> Rule:
    """Log loss of clicks must not be shown to rise by more than is tolerated: AUC does not see
    how far off a probability is.

    One-sided at 1 − ``policy.confidence``, as the guardrail: of the rise less what is tolerated,
    both by the same rows. The interval that is told is that of the rise alone. Without one it
    fails.
    """
    share, level = difference.tolerance, 1 - policy.confidence
    most = share * difference.champion
    limit = f"p ≥ {level:g} for a rise beyond {share:.3g} of the champion's"
    p = difference.p_beyond()
    if not math.isfinite(p):
        sentence = (
            f"Log loss has no interval: {difference.users:,} users do not carry one, and a "
            "challenger whose log loss is not known is not promoted"
        )
        return Rule(LOG_LOSS, "fail", None, limit, sentence)
    allowed = p >= level
    if not allowed:
        position = "shows"
    else:
        position = "excludes" if difference.high <= most else "does not show"
    estimate, low, high, told = _signed(
        difference.estimate, difference.low, difference.high, most, digits=4
    )
    sentence = (
        f"Log loss of clicks {difference.challenger:.4f} vs {difference.champion:.4f}: {estimate} "
        f"({confidence * 100:g}% interval {low} to {high}) {position} a rise beyond the tolerated "
        f"{told}, {share:.3g} of the champion's (p {p:.2g})"
    )
    return Rule(LOG_LOSS, "pass" if allowed else "fail", p, limit, sentence)


def slices_rule(slices: Sequence[Slice], policy: Gate) -> Rule:
    """No slice may be shown to lose more than is tolerated; small ones are told as unknown."""
    tolerance, level = policy.slice_tolerance, 1 - policy.confidence
    limit = f"Holm's p ≥ {level:g} for a loss beyond {tolerance:g}"
    worse = [each for each in slices if each.verdict == "fail"]
    small = [each.name for each in slices if each.verdict == "unknown"]
    tested = [each for each in slices if each.verdict != "unknown"]
    unknown = f"; too small to tell: {', '.join(small)}" if small else ""
    if not tested:
        return Rule(SLICES, "unknown", None, limit, f"No slice is large enough to tell{unknown}")
    least = min(each.p_holm for each in tested)
    if worse:
        told = ", ".join(f"{each.name} {each.difference.estimate:+.3f}" for each in worse)
        sentence = f"Worse by more than the tolerated {tolerance:g}: {told}{unknown}"
        return Rule(SLICES, "fail", least, limit, sentence)
    sentence = (
        f"None of {len(tested)} slices shows a loss beyond the tolerated {tolerance:g}{unknown}"
    )
    return Rule(SLICES, "pass", least, limit, sentence)


def calibration_rule(champion: float, challenger: float, policy: Gate) -> Rule:
    """Predicted per actual clicks must be in the band, or no further from 1 than before."""
    least, most = policy.calibration_band
    inside = least <= challenger <= most
    no_further = _off_one(challenger) <= _off_one(champion)
    band = f"{least:g} to {most:g}"
    if inside:
        position = f"inside {band}"
    else:
        position = f"outside {band} {'but no' if no_further else 'and'} further from 1"
    sentence = (
        f"The challenger predicts {challenger:.2f} clicks per actual click, {position} "
        f"(champion {champion:.2f})"
    )
    verdict: Verdict = "pass" if inside or no_further else "fail"
    return Rule("calibration", verdict, challenger, band, sentence)


def _off_one(ratio: float) -> float:
    """Distance of a ratio from 1, alike for twice and half."""
    return abs(math.log(ratio)) if ratio > 0 else math.inf


def _compared(title: str, difference: PairedDifference, confidence: float, limit: float) -> str:
    estimate, low, high, _ = _signed(difference.estimate, difference.low, difference.high, limit)
    return (
        f"{title} {difference.challenger:.3f} vs {difference.champion:.3f}: {estimate} "
        f"({confidence * 100:g}% interval {low} to {high})"
    )


def _signed(*values: float, digits: int = 3) -> list[str]:
    """Signed texts with ``digits`` decimals, or as many as keep different values apart (up to
    six).
    """
    while digits < 6 and len({round(value, digits) for value in values}) < len(set(values)):
        digits += 1
    return [f"{value:+.{digits}f}" for value in values]
