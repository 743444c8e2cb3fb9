"""Target policies, and how much more often than the log they would have shown what was shown.

Two kinds of logs. *Choices*: each impression is one draw from candidates that are known, with
the logged probability of the item that was shown. *Lists*: a request shows several items, each
drawn among those not yet shown, and only the shown ones are known. Then the set of items shown
says as much about the logging policy as their order does; the target reorders that set, and the
logged probability has to be the one given the set. It is not the share of the logged
propensities among the items that remain: drawn one by one out of a large catalogue, any order of
the same few items is nearly as likely as any other.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logit, logsumexp, softmax

from driftune.evaluation.lists import by_length

MAX_LEFT_OUT = 0.05
ROUNDING = 1e-6
CHUNK = 1 << 22
_EPSILON = float(np.finfo(np.float64).eps)
# Abscissae x of the race's time, exp(x): trapezoids of this width are exact to rounding.
_RACE = np.arange(-40.0, 6.0, 0.2)


class UnusableLogError(ValueError):
    """The log cannot answer what the policy is worth; the message says why, in words."""


@dataclass(frozen=True)
class Weighted:
    """A target policy on logged impressions, (n,) each.

    ``weight``: the target's probability of what was shown, divided by the log's; ``predicted``:
    the reward model's clicks per impression of the shown item; ``expected``: its clicks per
    impression under the target. ``used``: False where the log does not tell the probability.
    """

    weight: np.ndarray
    predicted: np.ndarray
    expected: np.ndarray
    used: np.ndarray


def shares(scores: ArrayLike, temperature: float = 1.0) -> np.ndarray:
    """The target's probability of each candidate, (…, candidates): softmax of logits / temperature.

    Args:
        scores: (…, candidates) probabilities of a click.
        temperature: above 0; towards 0 the best candidate takes all.

    Raises:
        UnusableLogError: for scores that are no probabilities.
    """
    probabilities: np.ndarray = softmax(_logits(scores, temperature), axis=-1)
    return probabilities


def weigh_choices(
    propensity: ArrayLike, chosen: ArrayLike, target: ArrayLike, rewards: ArrayLike
) -> Weighted:
    """Weigh impressions whose candidates are known and were drawn independently.

    Args:
        propensity: (n,) logged probability of the item that was shown.
        chosen: (n,) its place among the candidates.
        target: (n, candidates) the target's probabilities, or (candidates,) the same for all.
        rewards: (n, candidates) or (candidates,) the reward model's clicks per impression.

    Raises:
        UnusableLogError: for propensities that are missing, 0, above 1, and for a target that is
            no probability distribution.
    """
    logged = _propensities(propensity)
    place = np.asarray(chosen, dtype=np.int64)
    policy = np.atleast_2d(np.asarray(target, dtype=np.float64))
    reward = np.atleast_2d(np.asarray(rewards, dtype=np.float64))
    if not ((policy >= 0).all() and np.allclose(policy.sum(axis=1), 1)):
        raise UnusableLogError("the target policy's probabilities do not add up to 1")
    row = np.arange(len(logged))
    return Weighted(
        weight=policy[row if len(policy) > 1 else 0, place] / logged,
        predicted=reward[row if len(reward) > 1 else 0, place],
        expected=np.broadcast_to((policy * reward).sum(axis=1), logged.shape),
        used=np.ones(len(logged), dtype=bool),
    )


def weigh_lists(
    propensity: ArrayLike,
    position: ArrayLike,
    lists: ArrayLike,
    scores: ArrayLike,
    rewards: ArrayLike,
    *,
    temperature: float = 1.0,
) -> Weighted:
    """Weigh the impressions of lists under the policy that reorders each by a model's scores.

    The target fills a list's positions one by one: each item with its softmax share among those
    that remain. The log is one of the same kind (Plackett-Luce): ``propensity`` is the probability
    of the item at its position given the items above. An impression's weight is the product of
    the ratios from the top down to it, which is right when a click does not depend on items
    further below (the cascade; McInerney et al., KDD 2020). ``rewards`` do not know positions, so
    a list is expected to gather the same clicks in every order.

    A list is whole when its positions are the log's first one and those that follow it: a list
    with one missing or twice, the first ones too, is not ``used``.

    Args:
        propensity, position: (n,) as logged.
        lists: (n,) ids as in ``Rows.request``.
        scores: (n,) the model's probabilities of a click.
        rewards: (n,) the reward model's clicks per impression of the shown item.
        temperature: of the softmax.

    Raises:
        UnusableLogError: when lists, positions or propensities are missing or impossible, or more
            than 5% of the impressions stand in lists with gaps.
    """
    logged = _propensities(propensity)
    ids, place = _places(lists, position)
    logits = _logits(scores, temperature)
    reward = np.asarray(rewards, dtype=np.float64)
    order = np.lexsort((place, ids))
    weight, used = np.ones(len(ids)), np.zeros(len(ids), dtype=bool)
    longest, first = 1, place.min()
    for matrix in by_length(ids[order]):
        rows = order[matrix]
        follow = (np.diff(place[rows], axis=1) == 1).all(axis=1)
        rows = rows[follow & (place[rows[:, 0]] == first)]
        if len(rows):
            longest = rows.shape[1]
            weight[rows] = np.exp(_order(logits[rows]) - _logged_order(logged[rows]))
            used[rows] = True
    if np.mean(~used) > MAX_LEFT_OUT:
        raise UnusableLogError(
            f"{np.count_nonzero(~used):,} of {len(ids):,} impressions stand in lists with a "
            f"position missing or twice (each has to begin at {first:g}, the log's first)"
        )
    if longest == 1:
        raise UnusableLogError("no list shows more than one item: there is nothing to reorder")
    return Weighted(weight, reward, reward, used)


def _places(lists: ArrayLike, position: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """The list and the position of every impression, (n,) each."""
    ids, place = np.asarray(lists), np.asarray(position, dtype=np.float64)
    if (unknown := np.count_nonzero(ids < 0)) > 0:
        raise UnusableLogError(
            f"the list of {unknown:,} of {len(ids):,} impressions is unknown (columns.request), "
            "and with it what else could have stood there"
        )
    if (missing := np.count_nonzero(~np.isfinite(place))) > 0:
        raise UnusableLogError(f"{missing:,} of {len(ids):,} impressions have no position")
    return ids, place


def _propensities(propensity: ArrayLike) -> np.ndarray:
    logged = np.asarray(propensity, dtype=np.float64)
    if not len(logged):
        raise UnusableLogError("there are no impressions")
    if np.isnan(logged).all():
        raise UnusableLogError("the log has no propensities")
    bad = ~((logged > 0) & (logged <= 1 + ROUNDING))
    if bad.any():
        value = logged[bad][0]
        found = "missing" if np.isnan(value) else f"{value:g}"
        raise UnusableLogError(
            f"{np.count_nonzero(bad):,} of {len(logged):,} propensities do not lie above 0 and up "
            f"to 1; the first of them is {found}"
        )
    return np.minimum(logged, 1.0)


def _logits(scores: ArrayLike, temperature: float) -> np.ndarray:
    probabilities = np.asarray(scores, dtype=np.float64)
    bad = np.count_nonzero(~((probabilities >= 0) & (probabilities <= 1)))
    if bad:
        raise UnusableLogError(f"{bad:,} of the model's scores are no probabilities")
    values: np.ndarray = logit(np.clip(probabilities, _EPSILON, 1 - _EPSILON)) / temperature
    return values


def _order(logits: np.ndarray) -> np.ndarray:
    """Log-probability of each list's items from the top down to each, (lists, length)."""
    remaining = np.logaddexp.accumulate(logits[:, ::-1], axis=1)[:, ::-1]
    total: np.ndarray = np.cumsum(logits - remaining, axis=1)
    return total


def _logged_order(propensity: np.ndarray) -> np.ndarray:
    """The same under the logging policy, given which items the list shows.

    The shares s of the shown items follow from the propensities p: s₁ = p₁, s₂ = p₂ (1 − p₁), …,
    and r is left for all other items. P(items down to k | set) = p₁ … p_k F_k / F_0, where F_k is
    the probability that the next draws bring the items below k, in any order. Drawing without
    replacement is a race of exponential times with rates s, so that F_k = P(all items below k
    arrive before the first of the others) = ∫ e^−t ∏ (1 − e^(−t s/r)) dt over the items below k.

    Raises:
        UnusableLogError: when a propensity is 1 above other items of its list.
    """
    if (propensity[:, :-1] >= 1).any():
        raise UnusableLogError(
            "a propensity is 1 above other items of its list, which then could not follow"
        )
    left = np.cumsum(np.log1p(-np.minimum(propensity, 1 - _EPSILON)), axis=1)
    above = np.concatenate([np.zeros((len(left), 1)), left[:, :-1]], axis=1)
    rate = np.exp(np.log(propensity) + above - left[:, -1:])
    time = np.exp(_RACE)
    base = _RACE - time
    completed = np.zeros((len(rate), rate.shape[1] + 1))
    step = max(1, CHUNK // (rate.shape[1] * len(time)))
    for start in range(0, len(rate), step):
        part = slice(start, start + step)
        arrived = np.log(-np.expm1(-rate[part, :, None] * time))
        below = np.cumsum(arrived[:, ::-1], axis=1)[:, ::-1]
        completed[part, :-1] = logsumexp(below + base, axis=2)
    completed[:, -1] = logsumexp(base)
    total: np.ndarray = np.cumsum(np.log(propensity), axis=1) + completed[:, 1:] - completed[:, :1]
    return total
