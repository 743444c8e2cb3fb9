"""Plain models that a recommender must beat: the domain's click rate, and item and position."""

from dataclasses import dataclass

import numpy as np

from driftune.evaluation.metrics import auc, log_loss

# Impressions at the rate above it that are added to each item's and each position's counts.
SMOOTHING = 20.0


@dataclass(frozen=True)
class Impressions:
    """Impressions by which the baselines count and are judged, all (n,): clicks of 0 and 1,
    ``domain`` and ``item`` as numbers from 0, ``position`` NaN where there is none."""

    click: np.ndarray
    domain: np.ndarray
    item: np.ndarray
    position: np.ndarray


def domain_rates(train: Impressions, held_out: Impressions) -> np.ndarray:
    """The smoothed click rate of each row's domain on the training rows, (n,); NaN without any."""
    overall = float(train.click.mean()) if len(train.click) else float("nan")
    size = 1 + int(max(train.domain.max(initial=0), held_out.domain.max(initial=0)))
    rate: np.ndarray = _smoothed(
        train.domain, train.click, np.full(len(train.click), overall), size
    )
    return overall * rate[held_out.domain]


def item_position_rates(train: Impressions, held_out: Impressions) -> np.ndarray:
    """The domain's rate times how much an item, and a place in its list, is above the rate, (n,).

    Both factors are smoothed ratios of observed to expected clicks (as in the COEC statistic of
    Zhang and Jones, WWW 2007), the place's beside the item's.
    """
    expected = domain_rates(train, train)
    size = 1 + int(max(train.item.max(initial=0), held_out.item.max(initial=0)))
    item = _smoothed(train.item, train.click, expected, size)
    found = domain_rates(train, held_out) * item[held_out.item]
    places, place = np.unique(
        np.concatenate([train.position, held_out.position]), return_inverse=True
    )
    seen, asked = place[: len(train.click)], place[len(train.click) :]
    position = _smoothed(seen, train.click, expected * item[train.item], len(places))
    rates: np.ndarray = np.clip(found * position[asked], 1e-6, 1 - 1e-6)
    return rates


def _smoothed(group: np.ndarray, click: np.ndarray, expected: np.ndarray, size: int) -> np.ndarray:
    """Observed per expected clicks of each group, drawn towards 1."""
    clicks = np.bincount(group, click, minlength=size)
    hoped = np.bincount(group, expected, minlength=size)
    usual = float(expected.mean()) if len(expected) else 0.0
    some = SMOOTHING * max(usual, 1e-6)
    ratio: np.ndarray = (clicks + some) / (hoped + some)
    return ratio


@dataclass(frozen=True)
class BaseFigures:
    """A model on a domain's held-out impressions, beside the baselines; NaN: not defined.

    ``worse_than``: the baseline whose log loss is lower by more than two standard errors, the
    better one of both. ``predicted``: clicks that the model expects.
    ``miscalibrated``: predicted per observed clicks lie outside ``CALIBRATED`` by more than two
    standard errors of the clicks.
    """

    rows: int
    clicks: int
    predicted: float
    auc: float
    calibration: float
    log_loss: float
    domain_log_loss: float
    item_auc: float
    item_log_loss: float
    worse_than: str | None
    miscalibrated: bool


CALIBRATED = (0.8, 1.25)


def base_figures(
    click: np.ndarray,
    model: np.ndarray,
    domain: np.ndarray,
    item: np.ndarray,
    ranked: np.ndarray | None = None,
) -> BaseFigures:
    """Compare a model's probabilities with the two baselines' on the same impressions, (n,).

    ``ranked``: the model's scores of which the AUC is, by default its probabilities.
    """
    own = _losses(click, model)
    better = {}
    for name, rates in (("the domain's rate", domain), ("item and position rates", item)):
        more = own - _losses(click, rates)
        if len(more) > 1 and more.mean() > 2 * more.std(ddof=1) / np.sqrt(len(more)):
            better[name] = float(more.mean())
    worse = max(better, key=better.__getitem__, default=None)
    clicks = float(click.sum())
    hoped = float(model.sum())
    ratio = hoped / clicks if clicks else float("nan")
    off = abs(hoped - clicks) > 2 * float(np.sqrt((model * (1 - model)).sum()))
    outside = not CALIBRATED[0] <= ratio <= CALIBRATED[1]
    return BaseFigures(
        rows=len(click),
        clicks=int(clicks),
        predicted=hoped,
        auc=auc(click, model if ranked is None else ranked),
        calibration=ratio,
        log_loss=log_loss(click, model),
        domain_log_loss=log_loss(click, domain),
        item_auc=auc(click, item),
        item_log_loss=log_loss(click, item),
        worse_than=worse,
        miscalibrated=bool(off and outside),
    )


def _losses(click: np.ndarray, probability: np.ndarray) -> np.ndarray:
    epsilon = np.finfo(np.float64).eps
    safe = np.clip(probability, epsilon, 1 - epsilon)
    losses: np.ndarray = -np.where(click > 0, np.log(safe), np.log1p(-safe))
    return losses
