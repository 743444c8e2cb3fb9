"""What is to be expected of a challenger, after what the challengers before it gained.

The estimate of one evening's rows is mostly noise: of challengers that look best, the luckiest are
overrated. So it is shrunken towards the mean of earlier ones by how much these really differed
(empirical Bayes: C. N. Morris, Journal of the American Statistical Association 78, 1983). Unlike
the chance of a wrong verdict, this expectation needs no correction for looks or for the other
domains of a day; it rests on earlier challengers being like this one.

How much they differed comes from the excess of the estimates' spread over their standard errors
(R. DerSimonian and N. Laird, Controlled Clinical Trials 7, 1986). Where few were judged,
``ASSUMED`` challengers of no gain, and of the spread ``SPREAD``, stand beside them (our choice:
near what fine-tuning gains in this project's benchmarks): the first are held against no gain.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from driftune.config.gate import Gate
from driftune.evaluation import rules
from driftune.evaluation.bootstrap import PairedDifference
from driftune.evaluation.verdicts import EXPECTED_GAIN, LOSS_CHANCE, NO_LOSS, Rule

ASSUMED = 4
SPREAD = 0.005
# A gain or loss beyond it counts as this one: a broken champion must not make others look certain.
MOST = 0.02
_LEAST = 1e-6


@dataclass(frozen=True)
class Prior:
    """Mean and spread (standard deviation) of the gains of challengers, and of how many."""

    mean: float
    spread: float
    challengers: int


@dataclass(frozen=True)
class Posterior:
    """The gain to be expected (``mean``), its standard deviation, and the chance of a loss of more
    than ``gate.max_loss``.
    """

    mean: float
    spread: float
    loss_chance: float


def fit_prior(estimates: Sequence[float], errors: Sequence[float]) -> Prior:
    """The gains of earlier challengers, by the estimate of each and its standard error.

    Those without a positive error are left out; gains beyond ``MOST`` count as that.
    """
    found, sizes = np.asarray(estimates, dtype=float), np.asarray(errors, dtype=float)
    usable = np.isfinite(found) & np.isfinite(sizes) & (sizes > 0)
    found, variance = np.clip(found[usable], -MOST, MOST), np.maximum(sizes[usable], _LEAST) ** 2
    count = len(found)
    between = SPREAD**2
    if count > 1:
        weight = 1 / variance
        mean = (weight @ found) / weight.sum()
        excess = float(weight @ (found - mean) ** 2) - (count - 1)
        between = max(0.0, excess / float(weight.sum() - (weight @ weight) / weight.sum()))
        between = (count * between + ASSUMED * SPREAD**2) / (count + ASSUMED)
    weight = 1 / (between + variance)
    mean = float(weight @ found) / float(weight.sum() + ASSUMED / between)
    return Prior(mean, math.sqrt(between), count)


def posterior(prior: Prior, difference: PairedDifference, max_loss: float) -> Posterior:
    """What is to be expected of a challenger with this difference.

    The variance of the estimate is that of Student's t with the interval's degrees of freedom.
    NaN where the difference has no error.
    """
    if difference.error == 0:
        certain = float(difference.estimate < -max_loss)
        return Posterior(difference.estimate, 0.0, certain)
    if difference.freedom <= 2:
        return Posterior(math.nan, math.nan, math.nan)
    variance = difference.error**2 * difference.freedom / (difference.freedom - 2)
    between = prior.spread**2
    share = between / (between + variance)
    mean = prior.mean + share * (difference.estimate - prior.mean)
    spread = math.sqrt(share * variance)
    chance = float(norm.cdf((-max_loss - mean) / spread)) if spread > 0 else float(mean < -max_loss)
    return Posterior(mean, spread, chance)


def expected_rules(
    prior: Prior, found: Posterior, difference: PairedDifference, policy: Gate
) -> Iterator[Rule]:
    """The rules of ``gate.rule: expected_gain``: what is to be expected, and what the rows show.

    The prior may be wrong for this challenger: one whose own rows show a loss is not promoted,
    whatever others gained.
    """
    title = "CTR-AUC" if policy.metric == "ctr_auc" else "CTCVR-AUC"
    likely = f"chance of a loss beyond {policy.max_loss:g} ≤ {policy.max_loss_chance:.3g}"
    level = 1 - policy.confidence
    shown = f"p ≥ {level:.3g} for a loss"
    if not math.isfinite(found.mean):
        sentence = f"{title} has no standard error: {difference.users:,} users do not carry one"
        yield Rule(EXPECTED_GAIN, "insufficient", None, "> 0", sentence)
        yield Rule(LOSS_CHANCE, "insufficient", None, likely, sentence)
        yield Rule(NO_LOSS, "insufficient", None, shown, sentence)
        return
    gains = found.mean > 0
    among = (
        f"{prior.challengers:,} earlier challenger{'s' if prior.challengers > 1 else ''}"
        if prior.challengers
        else "no gain, as no challenger was judged before"
    )
    yield Rule(
        EXPECTED_GAIN,
        "pass" if gains else "fail",
        found.mean,
        "> 0",
        f"{title} {difference.challenger:.3f} vs {difference.champion:.3f}: {found.mean:+.4f} to "
        f"be expected ({difference.estimate:+.4f} ± {difference.error:.4f} on these rows, held "
        f"against {among}: {prior.mean:+.4f} ± {prior.spread:.4f})",
    )
    rare = found.loss_chance <= policy.max_loss_chance
    yield Rule(
        LOSS_CHANCE,
        "pass" if rare else "fail",
        found.loss_chance,
        likely,
        f"A loss of more than {policy.max_loss:g} {title} has a chance of "
        f"{found.loss_chance:.2%}; {policy.max_loss_chance:.3g} {'is' if rare else 'would be'} "
        "allowed",
    )
    p = difference.p_below(0.0)
    none = p >= level
    yield Rule(
        NO_LOSS,
        "pass" if none else "fail",
        p,
        shown,
        f"These rows {'do not show' if none else 'show'} that {title} is lower (p {p:.2g})",
    )


@dataclass(frozen=True)
class GainRules:
    """What shows a gain, by ``gate.rule``: at a confidence, or after a prior."""

    policy: Gate
    confidence: float
    prior: Prior

    def posterior(self, difference: PairedDifference) -> Posterior | None:
        """What is to be expected; None by the rule of the interval."""
        if self.policy.rule == "interval":
            return None
        return posterior(self.prior, difference, self.policy.max_loss)

    def rules(self, difference: PairedDifference) -> list[Rule]:
        """The two rules; the first one alone says whether there is enough to judge by."""
        found = self.posterior(difference)
        if found is not None:
            return [*expected_rules(self.prior, found, difference, self.policy)]
        return [
            rules.interval_rule(difference, self.policy, self.confidence),
            rules.effect_rule(difference, self.policy),
        ]
