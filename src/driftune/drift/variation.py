"""Day-to-day variation: what pairs of days without drift differ by, and the p-value of a day.

The squared distance of two windows without drift is about φ · noise + δ² · spread: sampling noise,
larger by φ where rows come in bunches (a request shows several items), and real differences
between days, which no sample size averages away. φ and δ² are the same for all domains; how much a
domain differs from that is shrunk toward them (empirical Bayes of variances: G. K. Smyth,
Statistical Applications in Genetics and Molecular Biology 3, 2004).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from driftune.drift.readings import Pairs, Reading

# Fewer pairs of reference days, over all domains, say nothing about the variation of days.
MIN_PAIRS = 3
# Pairs after which the observed spread of squared distances outweighs the one that is expected.
PRIOR_PAIRS = 20


@dataclass(frozen=True)
class Verdict:
    """What a reading amounts to: ``usual`` is the squared distance of a day without drift."""

    p: float
    square: float
    usual: float

    @property
    def effect(self) -> float:
        """The distance beyond the usual one, in the signal's unit."""
        return float(np.sqrt(max(0.0, self.square - self.usual)))


def judge_readings(readings: Sequence[Reading | None]) -> list[Verdict | None]:
    """Judge one signal's readings of several domains together.

    Those that were compared with days of their weekday alone are measured by the variation of such
    pairs, the others by that of all pairs of days. None where a reading is missing, the pairs are
    too few to learn the variation from, or no p-value comes of them.
    """
    if any(reading is not None and reading.parts for reading in readings):
        return _judge_parts(readings)
    verdicts: list[Verdict | None] = [None] * len(readings)
    there = [(place, reading) for place, reading in enumerate(readings) if reading is not None]
    for matched in (True, False):
        if all(reading.is_matched != matched for _, reading in there):
            continue
        variation = fit(
            [reading.matched if matched else reading.plain for _, reading in there],
            [reading.freedom for _, reading in there],
        )
        if variation is None:
            continue
        of = [own for own, (_, reading) in enumerate(there) if reading.is_matched == matched]
        found = variation.verdicts([there[own][1] for own in of], of)
        for own, verdict in zip(of, found, strict=True):
            verdicts[there[own][0]] = verdict if np.isfinite(verdict.p) else None
    return verdicts


def _judge_parts(readings: Sequence[Reading | None]) -> list[Verdict | None]:
    """Judge readings of several parts: each part by its own variation, the strongest decides.

    Its p-value is taken times the number of parts (C. E. Bonferroni 1936).
    """
    parts = [{} if reading is None else reading.parts for reading in readings]
    judged: list[list[Verdict]] = [[] for _ in readings]
    for name in dict.fromkeys(name for own in parts for name in own):
        for found, verdict in zip(
            judged, judge_readings([own.get(name) for own in parts]), strict=True
        ):
            if verdict is not None:
                found.append(verdict)
    verdicts: list[Verdict | None] = []
    for found in judged:
        best = min(found, key=lambda verdict: verdict.p, default=None)
        p = 1.0 if best is None else min(1.0, best.p * len(found))
        verdicts.append(None if best is None else replace(best, p=p))
    return verdicts


@dataclass(frozen=True)
class Variation:
    """The fitted variation of one signal; ``scales`` and ``own`` are per domain.

    ``scales``: how much a domain varies against the fit, shrunk; ``freedom`` of a squared distance
    (per domain), ``behind`` of the scale it is divided by.
    """

    inflation: float
    between_days: float
    scales: np.ndarray
    freedom: np.ndarray
    behind: np.ndarray

    def expected(self, pairs: Pairs) -> np.ndarray:
        """Squared distance without drift, before a domain's own scale."""
        return np.asarray(self.inflation * pairs.noise + self.between_days * pairs.spread)

    def verdicts(self, readings: Sequence[Reading], places: Sequence[int]) -> list[Verdict]:
        """The p-values of today's pairs: F distributed where there is no drift.

        ``places``: of the readings' domains in ``scales``.
        """
        from scipy.special import fdtrc

        own = np.array(places, dtype=int)
        square, noise, spread = (
            np.array([getattr(each.today, name)[0] for each in readings])
            for name in ("square", "noise", "spread")
        )
        usual = self.expected(Pairs(square, noise, spread)) * self.scales[own]
        p_values = fdtrc(self.freedom[own], self.behind[own], square / usual)
        return [
            _verdict(reading, *figures)
            for reading, *figures in zip(
                readings, p_values.tolist(), square.tolist(), usual.tolist(), strict=True
            )
        ]


def _verdict(reading: Reading, p: float, square: float, usual: float) -> Verdict:
    if reading.one_sided:
        p = p / 2 if reading.worse else 1 - p / 2
    return Verdict(p, square if reading.worse else 0.0, usual)


def fit(pairs: Sequence[Pairs], freedom: Sequence[float]) -> Variation | None:
    """Fit the variation of pairs without drift, one ``Pairs`` and freedom per domain."""
    counts = np.array([len(each) for each in pairs])
    if counts.sum() < MIN_PAIRS:
        return None
    square, noise, spread = (
        np.concatenate([getattr(each, name) for each in pairs])
        for name in ("square", "noise", "spread")
    )
    inflation, between_days = _components(square, noise, spread)
    ratio = square / (inflation * noise + between_days * spread)
    domain = np.repeat(np.arange(len(pairs)), counts)
    nominal = np.asarray(freedom, dtype=float)
    used = _freedom(ratio, domain, nominal)
    means = np.bincount(domain, ratio, minlength=len(pairs)) / np.maximum(counts, 1)
    # The pairs of a domain share their reference: one less than there are.
    own = np.maximum(counts - 1, 0) * used
    centre, prior = _prior(means[own > 0], own[own > 0])
    if np.isinf(prior):
        scales = np.full(len(pairs), centre)
    else:
        # A domain without pairs of its own varies as the others do.
        known = np.where(prior + own > 0, prior + own, 1.0)
        scales = np.where(prior + own > 0, (prior * centre + own * means) / known, centre)
    # What is common to all domains is known no better than from all of their pairs.
    behind = np.maximum(np.minimum(prior + own, own.sum()), 1.0)
    return Variation(inflation, between_days, np.maximum(scales, 1e-12), used, behind)


def _components(square: np.ndarray, noise: np.ndarray, spread: np.ndarray) -> tuple[float, float]:
    """φ ≥ 1 and δ² ≥ 0 by weighted least squares; a squared distance varies as its mean does."""
    inflation, between_days = max(1.0, float(square.sum() / noise.sum())), 0.0
    for _ in range(20):
        weight = 1 / (inflation * noise + between_days * spread)
        a, b, y = noise * weight, spread * weight, square * weight
        aa, ab, bb = float(a @ a), float(a @ b), float(b @ b)
        ay, by = float(a @ y), float(b @ y)
        determinant = aa * bb - ab**2
        phi = (bb * ay - ab * by) / determinant if determinant > 1e-9 * aa * bb else 0.0
        if phi < 1:
            phi, delta = 1.0, max(0.0, (by - ab) / bb)
        else:
            delta = (by - phi * ab) / bb
            if delta < 0:
                phi, delta = max(1.0, ay / aa), 0.0
        new = float(phi), float(delta)
        done = np.allclose(new, (inflation, between_days), rtol=1e-6, atol=0)
        inflation, between_days = new
        if done:
            break
    return inflation, between_days


def _freedom(ratio: np.ndarray, domain: np.ndarray, nominal: np.ndarray) -> np.ndarray:
    """Degrees of freedom of a squared distance: fewer when days differ in few directions.

    The nominal ones, lowered by how much more the ratios vary than a χ²/f would.
    """
    expected = 2 / nominal[domain]
    excess = float(((ratio - ratio.mean()) ** 2 / expected).mean()) / max(ratio.mean() ** 2, 1e-12)
    weight = len(ratio) / (len(ratio) + PRIOR_PAIRS)
    return np.asarray(nominal / max(1.0, weight * excess + (1 - weight)))


def _prior(means: np.ndarray, freedom: np.ndarray) -> tuple[float, float]:
    """Centre and degrees of freedom of the domains' scales (Smyth's fit by moments of logarithms).

    Infinite degrees of freedom: the domains vary alike.
    """
    from scipy.special import digamma, polygamma

    if len(means) == 0:
        return 1.0, float("inf")
    if len(means) == 1:
        return float(means[0]), 0.0
    logs = np.log(np.maximum(means, 1e-12)) - digamma(freedom / 2) + np.log(freedom / 2)
    beyond = float(logs.var(ddof=1) - polygamma(1, freedom / 2).mean())
    if beyond <= 0:
        return float(np.average(means, weights=freedom)), float("inf")
    half = _inverse_trigamma(beyond)
    return float(np.exp(logs.mean() + digamma(half) - np.log(half))), 2 * half


def _inverse_trigamma(value: float) -> float:
    from scipy.special import polygamma

    found = 0.5 + 1 / value
    for _ in range(50):
        now = float(polygamma(1, found))
        step = now * (1 - now / value) / float(polygamma(2, found))
        found += step
        if abs(step) < 1e-9 * found:
            break
    return found
