"""The latent world behind the logs: who likes what, and what each domain likes on a given day."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from driftune.simulate.settings import SimulationConfig

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SHIFT = 1.6
LATENT = 4

# Typical price in currency units, and the hour of the day (UTC) at which interest peaks.
PROFILES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "noodles": (11.0, 19.0),
        "burgers": (12.5, 20.0),
        "salads": (10.5, 12.5),
        "coffee": (4.5, 9.0),
        "breakfast": (8.0, 8.0),
        "sushi": (18.0, 19.5),
        "curry": (13.0, 19.0),
        "desserts": (6.5, 21.0),
    }
)
UNKNOWN_PROFILE = (11.0, 18.0)
HOUR_EFFECT = 0.25
DOMAIN_TASTE = 0.75
# Mean age in days, at the first day, of items that do not launch later.
OLD_DAYS = 40.0


@dataclass(frozen=True)
class World:
    """Latent quantities on the logit scale; U users, I items, D domains, C categories."""

    user_activity: Floats
    """(U,) relative frequency of requests, long-tailed."""
    user_region: Ints
    """(U,) index of the home region."""
    user_bias: Floats
    """(U,) willingness to click."""
    user_taste: Floats
    """(U, C) own taste over categories."""
    user_latent: Floats
    """(U, LATENT) factors that meet ``item_latent``."""
    user_thrift: Floats
    """(U,) price sensitivity, positive, mean 1."""
    item_category: Ints
    """(I,) index of the category."""
    item_restaurant: Ints
    """(I,) index of the restaurant."""
    item_price: NDArray[np.float32]
    """(I,) price in currency units."""
    item_expense: Floats
    """(I,) standardised log price."""
    item_quality: Floats
    """(I,)"""
    item_latent: Floats
    """(I, LATENT)"""
    item_popularity: Floats
    """(I,) share of impressions under a policy that knows popularity only; sums to 1."""
    domain_taste: Floats
    """(D, C) taste over categories before any event; each row has mean 0."""
    hour_effect: Floats
    """(24, C) mild preference by hour of the day."""
    weekday_taste: Floats
    """(7, C) taste from Monday to Sunday, in units of the configured seasonality."""
    item_launch: Ints
    """(I,) day on which the item launches, counted from the first; 0 for those of old."""
    item_before: Floats
    """(I,) days that items of old have been there before the first; 0 for those that launch."""
    user_segment: Ints
    """(U,) index of the hidden segment; 0 where there are none."""


def build_world(config: SimulationConfig) -> World:
    """Draw the world of a seed; it depends neither on the calendar nor on the events."""
    rng = np.random.default_rng([config.seed, 0])
    users, items, kinds = config.users, config.items, len(config.categories)
    profiles = [PROFILES.get(name, UNKNOWN_PROFILE) for name in config.categories]
    base_price = np.array([price for price, _ in profiles])
    peak = np.array([hour for _, hour in profiles])

    restaurant = np.arange(items) % config.restaurants
    restaurant_quality = rng.normal(0, 0.25, config.restaurants)
    restaurant_price = rng.normal(0, 0.15, config.restaurants)
    category = restaurant % kinds
    quality = restaurant_quality[restaurant] + rng.normal(0, 0.4, items)
    log_price = np.log(base_price)[category] + restaurant_price[restaurant]
    price = np.round(np.exp(log_price + rng.normal(0, 0.2, items)), 1)
    expense = np.log(price)
    popularity = np.exp(rng.normal(0, 0.8, items) + 0.4 * quality)
    scene = rng.normal(0, 0.35, (len(config.scenes), 1, kinds))
    region = rng.normal(0, 0.6, (1, len(config.regions), kinds))
    mixed = rng.normal(0, 0.4, (len(config.scenes), len(config.regions), kinds))
    taste = (scene + region + mixed).reshape(-1, kinds)
    taste -= taste.mean(axis=1, keepdims=True)
    if config.periods:
        own = np.random.default_rng([config.seed, 5]).normal(0, 0.3, (len(config.periods), kinds))
        taste = (taste[:, None] + own - own.mean(axis=1, keepdims=True)).reshape(-1, kinds)
    # The same spread everywhere, so that no domain is much easier to rank than another.
    taste *= DOMAIN_TASTE / taste.std(axis=1, keepdims=True)
    hours = np.arange(24)[:, None] + 0.5
    weekdays = np.random.default_rng([config.seed, 3]).normal(0, 1, (2, kinds))
    newcomers = np.random.default_rng([config.seed, 6])
    launch = np.where(
        newcomers.random(items) < config.arrivals,
        newcomers.integers(1, max(2, config.days), items),
        0,
    )
    segment, segment_taste = _segments(config)
    aging = np.random.default_rng([config.seed, 8]).exponential(OLD_DAYS, items)
    return World(
        user_activity=rng.lognormal(0, 0.9, users),
        user_region=rng.integers(0, len(config.regions), users),
        user_bias=rng.normal(0, 0.35, users),
        user_taste=rng.normal(0, 0.45, (users, kinds)) + segment_taste[segment],
        user_latent=rng.normal(0, 1, (users, LATENT)),
        user_thrift=rng.gamma(4, 1 / 4, users),
        item_category=category,
        item_restaurant=restaurant,
        item_price=price.astype(np.float32),
        item_expense=(expense - expense.mean()) / expense.std(),
        item_quality=quality,
        item_latent=rng.normal(0, 0.15, (items, LATENT)),
        item_popularity=popularity / popularity.sum(),
        domain_taste=taste,
        # Working days are alike, and so are the days of a weekend.
        weekday_taste=np.repeat(weekdays, [5, 2], axis=0),
        item_launch=launch,
        item_before=np.where(launch == 0, aging, 0.0),
        user_segment=segment,
        hour_effect=HOUR_EFFECT * np.cos((hours - peak) * (2 * np.pi / 24)),
    )


def _segments(config: SimulationConfig) -> tuple[Ints, Floats]:
    """Each user's hidden segment (U,), and the segments' own tastes (S, C), of mean 0 each."""
    rng = np.random.default_rng([config.seed, 7])
    count, kinds = max(1, config.segments), len(config.categories)
    taste = config.segment_taste * rng.normal(0, 1, (count, kinds))
    if config.segments < 2:
        taste = np.zeros((count, kinds))
    own: Floats = taste - taste.mean(axis=1, keepdims=True)
    return rng.integers(0, count, config.users), own
