"""How users answer to what they are shown: utilities of clicking and ordering, and their level."""

from dataclasses import dataclass

import numpy as np

from driftune.simulate.policy import DEPTHS, draw_depth, draw_slates, flat_positions, item_shares
from driftune.simulate.settings import SimulationConfig
from driftune.simulate.world import Floats, Ints, World

POSITION_DECAY = 0.42
CLICK_PRICE = 0.25
ORDER_PRICE = 0.55
CALIBRATION_REQUESTS = 2500
# The mean of log(1 + position) over impressions: a steeper fade shall leave the rate of clicks.
_DEPTHS = np.arange(DEPTHS[0], DEPTHS[1] + 1)
MEAN_DEPTH = float(np.mean(np.log1p(np.concatenate([np.arange(depth) for depth in _DEPTHS]))))


@dataclass(frozen=True)
class Impressions:
    """Impressions of one domain as indexes, flat arrays of equal length."""

    user: Ints
    item: Ints
    position: Ints
    """from 0"""
    hour: Ints


@dataclass(frozen=True)
class Twist:
    """How a domain's users differ on a day from what they were, beside tastes and single items.

    ``by_user`` (U, C) is added to users' own tastes; ``thrift`` multiplies how far they mind
    prices, ``fade`` how fast clicks fade with the position.
    """

    by_user: Floats | None = None
    thrift: float = 1.0
    fade: float = 1.0


@dataclass(frozen=True)
class Levels:
    """Intercepts (D,) that give each domain its rates before any event."""

    click: Floats
    order: Floats


def utilities(
    world: World,
    taste: Floats,
    shown: Impressions,
    lift: Floats | None = None,
    twist: Twist | None = None,
) -> tuple[Floats, Floats]:
    """Return logits of clicking, and of ordering once clicked, but for the domain's intercepts.

    ``lift`` (I,) raises the quality of single items; ``twist``: what else differs.
    """
    user, item = shown.user, shown.item
    category = world.item_category[item]
    taste_of_both = taste[category] + world.user_taste[user, category]
    match = (world.user_latent[user] * world.item_latent[item]).sum(axis=1)
    expense = world.user_thrift[user] * world.item_expense[item]
    quality = (world.item_quality if lift is None else world.item_quality + lift)[item]
    click = (
        taste_of_both
        + match
        + quality
        + world.user_bias[user]
        + world.hour_effect[shown.hour, category]
        - CLICK_PRICE * expense
        - POSITION_DECAY * np.log1p(shown.position)
    )
    order = 0.5 * taste_of_both + 0.5 * match + quality - ORDER_PRICE * expense
    if twist is None:
        return click, order
    own = 0.0 if twist.by_user is None else twist.by_user[user, category]
    minded = (twist.thrift - 1) * expense
    faded = (twist.fade - 1) * POSITION_DECAY * (np.log1p(shown.position) - MEAN_DEPTH)
    return click + own - CLICK_PRICE * minded - faded, order + 0.5 * own - ORDER_PRICE * minded


def probability(logits: Floats) -> Floats:
    """Return the logistic function of ``logits``."""
    return 1 / (1 + np.exp(-logits))


def user_shares(world: World, region: int) -> Floats:
    """Return the probability (U,) of each user in requests of a region: mostly its residents."""
    weight = world.user_activity * np.where(world.user_region == region, 1.0, 0.04)
    shares: Floats = weight / weight.sum()
    return shares


def calibrate(config: SimulationConfig, world: World) -> Levels:
    """Find intercepts that give click rates of 15 to 20 %, and orders after a quarter of clicks."""
    count = len(config.domains)
    click_rates = np.linspace(0.155, 0.195, count)
    order_rates = np.linspace(0.27, 0.23, count)
    click_level, order_level = np.empty(count), np.empty(count)
    for domain in range(count):
        rng = np.random.default_rng([config.seed, 1, domain])
        taste = world.domain_taste[domain]
        depth = draw_depth(rng, CALIBRATION_REQUESTS)
        items, _ = draw_slates(rng, item_shares(world, taste), depth)
        _, region, _ = config.parts(domain)
        first, end = config.hours(domain) if config.periods else (8, 22)
        users = rng.choice(config.users, depth.size, p=user_shares(world, region))
        shown = Impressions(
            user=np.repeat(users, depth),
            item=items,
            position=flat_positions(depth),
            hour=np.repeat(rng.integers(first, end, depth.size), depth),
        )
        click, order = utilities(world, taste, shown)
        click_level[domain] = _level(click, np.ones(click.size), click_rates[domain])
        clicked = probability(click + click_level[domain])
        order_level[domain] = _level(order, clicked, order_rates[domain])
    return Levels(click_level, order_level)


def _level(logits: Floats, weights: Floats, rate: float) -> float:
    low, high = -15.0, 15.0
    for _ in range(40):
        middle = (low + high) / 2
        if np.average(probability(logits + middle), weights=weights) < rate:
            low = middle
        else:
            high = middle
    return (low + high) / 2
