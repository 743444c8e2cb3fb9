"""What a policy that was not followed would have earned: clicks per impression from logged ones.

IPS weighs each click by how much more often the target would have shown it (Horvitz & Thompson,
1952); SNIPS divides by the weights' sum instead of the count (Hájek; Swaminathan & Joachims, NIPS
2015); the doubly robust estimate adds a reward model and weighs only what the model misses (Dudík
et al., ICML 2011; for lists the cascade's, Kiyohara et al., WSDM 2022). Each is a ratio of sums
over clusters, so its interval is that of a linearised ratio with cluster-robust variance and
Student's t with as many degrees of freedom as effective clusters.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from driftune.config.gate import Gate
from driftune.evaluation.bootstrap import effective_size
from driftune.evaluation.propensity import UnusableLogError, Weighted, weigh_lists
from driftune.io import finite

ESTIMATORS = ("ips", "snips", "dr")
# Standard errors that the mean weight may lie away from 1, which true propensities give.
MAX_STRAY = 4.0


@dataclass(frozen=True)
class Estimate:
    """Clicks per impression with an interval, from ``n`` impressions; NaN where ``refused``.

    ``ess`` is the effective sample size (Σw)²/Σw² over the impressions' weights w,
    ``effective_clusters`` the same over the clusters' sums of weights. ``refused`` says in words
    why there is no estimate.
    """

    value: float
    low: float
    high: float
    ess: float
    effective_clusters: float
    n: int
    refused: str | None = None


@dataclass(frozen=True)
class OffPolicy:
    """Champion and challenger on the same logged impressions, by estimator (ips, snips, dr).

    ``difference`` is challenger − champion, paired; ``logged`` what the logging policy earned on
    the same impressions; ``left_out`` impressions stand in lists with gaps.
    """

    champion: dict[str, Estimate]
    challenger: dict[str, Estimate]
    difference: dict[str, Estimate]
    logged: Estimate
    left_out: int
    temperature: float
    confidence: float
    refused: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON-safe values; NaN becomes None."""
        values: dict[str, Any] = finite(asdict(self))
        return values


@dataclass(frozen=True)
class LoggedLists:
    """Impressions of request logs, (n,) each, as ``Rows`` has them: NaN and −1 where absent."""

    click: np.ndarray
    request: np.ndarray
    position: np.ndarray
    propensity: np.ndarray
    user: np.ndarray


def compare_lists(
    rows: LoggedLists, champion: ArrayLike, challenger: ArrayLike, policy: Gate
) -> OffPolicy:
    """Compare two models that would reorder the logged lists; refuses in words, never raises.

    A model's policy is ``weigh_lists``' with ``policy.off_policy_temperature``: what is estimated
    is the value of showing the same items of each request in the model's order. The reward model
    of both is the champion.

    Args:
        rows: held-out impressions; intervals are clustered by their users.
        champion, challenger: (n,) probabilities of a click.
        policy: temperature, confidence and the least effective sample.

    Raises:
        ValueError: for lengths that differ.
    """
    try:
        before, after = (
            weigh_lists(
                rows.propensity,
                rows.position,
                rows.request,
                scores,
                champion,
                temperature=policy.off_policy_temperature,
            )
            for scores in (champion, challenger)
        )
    except UnusableLogError as error:
        return _refusal(str(error), len(rows.click), policy)
    return compare(rows.click, before, after, rows.user, policy)


def compare(
    clicks: ArrayLike, champion: Weighted, challenger: Weighted, clusters: ArrayLike, policy: Gate
) -> OffPolicy:
    """Compare two target policies on the same impressions.

    Args:
        clicks: (n,) of 0 and 1.
        champion, challenger: the policies, weighted on these impressions.
        clusters: (n,) ids within which impressions are not independent, such as users.
        policy: confidence and the least effective sample.

    Raises:
        ValueError: for lengths that differ.
    """
    used = champion.used & challenger.used
    owner = np.unique(np.asarray(clusters)[used], return_inverse=True)[1]
    click = np.asarray(clicks, dtype=np.float64)[used]
    ones = np.ones(len(click))
    before = _Sums.of(click, champion, used, owner)
    after = _Sums.of(click, challenger, used, owner)
    logged = _Sums.of(click, Weighted(ones, ones, ones, ones == 1), ones == 1, owner)
    return OffPolicy(
        champion=before.estimates(policy),
        challenger=after.estimates(policy),
        difference={name: _difference(name, before, after, policy) for name in ESTIMATORS},
        logged=logged.estimates(policy)["ips"],
        left_out=int(np.count_nonzero(~used)),
        temperature=policy.off_policy_temperature,
        confidence=policy.confidence,
    )


def evaluate(
    clicks: ArrayLike, target: Weighted, clusters: ArrayLike, policy: Gate
) -> dict[str, Estimate]:
    """Estimate one target policy's clicks per impression by each estimator; as ``compare``."""
    return compare(clicks, target, target, clusters, policy).champion


@dataclass(frozen=True)
class _Sums:
    """One policy's sums by cluster: ``ratios`` holds numerators and denominators (clusters,)."""

    ratios: Mapping[str, tuple[np.ndarray, np.ndarray]]
    ess: float
    effective_clusters: float
    n: int

    @classmethod
    def of(
        cls, click: np.ndarray, target: Weighted, used: np.ndarray, owner: np.ndarray
    ) -> "_Sums":
        weight = target.weight[used]
        missed = target.expected[used] + weight * (click - target.predicted[used])
        rows, weights, earned, doubly = (
            np.bincount(owner, values)
            for values in (np.ones(len(click)), weight, weight * click, missed)
        )
        ratios = {
            "ips": (earned, rows),
            "snips": (earned, weights),
            "dr": (doubly, rows),
            "weight": (weights, rows),
        }
        return cls(ratios, effective_size(weight), effective_size(weights), len(click))

    def influence(self, name: str) -> tuple[float, np.ndarray]:
        """The ratio, and what each cluster adds to its error (clusters,)."""
        above, below = self.ratios[name]
        total = below.sum()
        value = float(above.sum() / total)
        return value, (above - value * below) / total

    def refused(self, policy: Gate) -> str | None:
        """Why these weights give no estimate."""
        least = policy.min_effective_sample
        for amount, what in ((self.ess, "impressions"), (self.effective_clusters, "clusters")):
            if not amount >= least:
                return (
                    f"{self.n:,} impressions count for {amount:,.1f} effective {what}; "
                    f"{least:,} are needed: the log shows too little of what the policy would show"
                )
        mean, errors = self.influence("weight")
        stray = abs(mean - 1) / max(_standard_error(errors), 1e-12)
        if stray > MAX_STRAY and abs(mean - 1) > 1e-6:
            return (
                f"the weights average {mean:.3f}, {stray:.1f} standard errors from the 1 that true "
                "propensities give: the log was made another way, or never shows some candidates"
            )
        return None

    def estimates(self, policy: Gate) -> dict[str, Estimate]:
        refused = self.refused(policy)
        return {name: self._estimate(*self.influence(name), refused, policy) for name in ESTIMATORS}

    def _estimate(
        self, value: float, errors: np.ndarray, refused: str | None, policy: Gate
    ) -> Estimate:
        counts = (self.ess, self.effective_clusters, self.n)
        if refused:
            return Estimate(math.nan, math.nan, math.nan, *counts, refused)
        low, high = _interval(value, errors, self.effective_clusters, policy.confidence)
        return Estimate(value, low, high, *counts)


def _difference(name: str, champion: _Sums, challenger: _Sums, policy: Gate) -> Estimate:
    refused = next(
        (
            f"{owner}: {reason}"
            for owner, sums in (("champion", champion), ("challenger", challenger))
            if (reason := sums.refused(policy))
        ),
        None,
    )
    counts = (
        min(champion.ess, challenger.ess),
        min(champion.effective_clusters, challenger.effective_clusters),
        champion.n,
    )
    if refused:
        return Estimate(math.nan, math.nan, math.nan, *counts, refused)
    (before, noise), (after, noise_after) = (
        sums.influence(name) for sums in (champion, challenger)
    )
    low, high = _interval(after - before, noise_after - noise, counts[1], policy.confidence)
    return Estimate(after - before, low, high, *counts)


def _interval(
    value: float, errors: np.ndarray, effective_clusters: float, confidence: float
) -> tuple[float, float]:
    from scipy.stats import t

    reach = float(t.ppf((1 + confidence) / 2, max(1.0, effective_clusters - 1)))
    reach *= _standard_error(errors)
    return value - reach, value + reach


def _standard_error(errors: np.ndarray) -> float:
    """Standard error of a sum of independent clusters' errors (clusters,)."""
    count = len(errors)
    return math.sqrt(count / (count - 1) * float(errors @ errors)) if count > 1 else math.inf


def _refusal(reason: str, n: int, policy: Gate) -> OffPolicy:
    nothing = Estimate(math.nan, math.nan, math.nan, 0.0, 0.0, n, reason)
    none = dict.fromkeys(ESTIMATORS, nothing)
    return OffPolicy(
        champion=none,
        challenger=none,
        difference=none,
        logged=nothing,
        left_out=0,
        temperature=policy.off_policy_temperature,
        confidence=policy.confidence,
        refused=reason,
    )
