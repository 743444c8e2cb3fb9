"""What a domain shows and likes on a day: its own taste, and the planted events so far."""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

import numpy as np

from driftune.simulate.response import Twist, user_shares
from driftune.simulate.settings import Event, SimulationConfig
from driftune.simulate.world import SHIFT, Floats, World

# On the logit scale, at size 1: how much more a surging item is shown, and how much more liked.
SURGE_SHOWN, SURGE_LIKED = 2.0, 1.2
# A new item is shown more at first, e times less so every few days.
NEW_SHOWN, NEW_DAYS = 1.0, 3.0
# On the logit scale, at size 1: how much more an item of today is liked than one of long ago, and
# after how many days that is e times less.
AGE_LIKED, AGE_DAYS = 1.5, 20.0
# Draws of days that weigh less than this part in a wander that persists are left out.
FORGOTTEN = 1e-3


@dataclass(frozen=True)
class Mood:
    """A domain on a day: tastes over categories (C,) and lifts of single items (I,).

    ``shown`` forms what the policy shows, ``liked`` what users click and order; most events move
    both. ``twist``: what else of its users differs, None where nothing does.
    """

    shown: Floats
    liked: Floats
    shown_lift: Floats
    liked_lift: Floats
    twist: Twist | None = None


def strength(event: Event, day: date) -> float:
    """How far the event is in force on a day, from 0 to 1."""
    since = (day - event.day).days
    if since < 0:
        return 0.0
    if event.kind == "gradual":
        return min(1.0, (since + 1) / (event.over or 1))
    if event.kind == "creep":
        # What a shift costs a model grows about with the square of its size.
        return float(np.sqrt(min(1.0, (since + 1) / (event.over or 1))))
    if event.kind == "shock":
        return float(since == 0)
    if event.kind == "recurring":
        return float(since % (event.every or 1) < (event.length or 1))
    if event.kind == "surge":
        return float(since < (event.length or 1))
    return 1.0


def changes(config: SimulationConfig) -> set[tuple[str, date]]:
    """Domains and days on which a planted event has moved what users like since the day before."""
    return {
        (event.domain, day)
        for event in config.events
        if event.kind != "traffic_only"
        for day in config.calendar
        if strength(event, day) != strength(event, day - timedelta(days=1))
    }


def mood_on(config: SimulationConfig, world: World, domain: int, day: date) -> Mood:
    """The domain's mood on a day."""
    taste = world.domain_taste[domain] + config.seasonality * world.weekday_taste[day.weekday()]
    kinds = taste.size
    if config.taste_noise:
        taste = taste + config.taste_noise * _wander(config, kinds, day, (4,), (domain,))
    if config.common_noise:
        taste = taste + config.common_noise * _wander(config, kinds, day, (9,), ())
    shown, liked = taste.copy(), taste.copy()
    shown_lift, liked_lift = _novelty(config, world, day), np.zeros(config.items)
    for number, event in enumerate(config.events):
        force = event.size * strength(event, day)
        if event.domain != config.domains[domain] or force == 0:
            continue
        if event.kind == "surge":
            items = surging(config, world, number)
            shown_lift[items] += SURGE_SHOWN * force
            liked_lift[items] += SURGE_LIKED * force
            continue
        if event.kind == "item_age":
            liked_lift += AGE_LIKED * force * _freshness(config, world, day)
            continue
        move = _move(config, event, force)
        if event.kind not in ("label_only", "segment"):
            shown += move
        if event.kind not in ("traffic_only", "segment"):
            liked += move
    twist = _twist(config, world, domain, day)
    return Mood(shown, liked, shown_lift, liked_lift, twist)


def _move(config: SimulationConfig, event: Event, force: float) -> Floats:
    """How far the event moves tastes (C,), of mean 0."""
    favoured = np.isin(config.categories, event.favour or ()).astype(float)
    shift = favoured - np.isin(config.categories, event.against)
    return SHIFT * force * (shift - shift.mean())


def _wander(
    config: SimulationConfig, kinds: int, day: date, stream: tuple[int], domain: tuple[int, ...]
) -> Floats:
    """Draws (kinds,) of variance 1, autocorrelated from day to day as configured.

    The stationary form of an autoregressive process, as a sum over draws of the days before: a
    day's is the same whichever other days are drawn.
    """
    kept = config.taste_persistence
    days = 1 if kept == 0 else int(np.ceil(np.log(FORGOTTEN) / np.log(kept)))
    drawn = np.zeros(kinds)
    for back in range(days):
        when = [config.seed, *stream, day.toordinal() - back, *domain]
        drawn = drawn + kept**back * _drawn(tuple(when), kinds)
    scaled: Floats = drawn if kept == 0 else np.sqrt(1 - kept**2) * drawn
    return scaled


@lru_cache(maxsize=1 << 14)
def _drawn(stream: tuple[int, ...], kinds: int) -> Floats:
    """Standard normal draws (kinds,) of a stream; days that follow one another share them."""
    drawn: Floats = np.random.default_rng(stream).normal(0, 1, kinds)
    drawn.flags.writeable = False
    return drawn


def _freshness(config: SimulationConfig, world: World, day: date) -> Floats:
    """How new items are (I,), of mean 0 over those that are there; 0 for those to come."""
    age = (day - config.start).days - world.item_launch + world.item_before
    there = age >= 0
    fresh = np.exp(-np.maximum(age, 0) / AGE_DAYS)
    return np.where(there, fresh - fresh[there].mean(), 0.0)


def _twist(config: SimulationConfig, world: World, domain: int, day: date) -> Twist | None:
    """What else of the domain's users differs on the day, by its events."""
    by_user: Floats | None = None
    thrift = fade = 1.0
    for number, event in enumerate(config.events):
        force = event.size * strength(event, day)
        if event.domain != config.domains[domain] or force == 0:
            continue
        if event.kind == "price":
            thrift -= 2 * force
        elif event.kind == "position":
            fade += force
        elif event.kind == "segment":
            own = world.user_segment == turning(config, number)
            # Of the domain's visits together tastes stay as they are.
            weight = own - user_shares(world, config.parts(domain)[1])[own].sum()
            moved = np.outer(weight, _move(config, event, force))
            by_user = moved if by_user is None else by_user + moved
    if by_user is None and thrift == fade == 1:
        return None
    return Twist(by_user, thrift, fade)


def turning(config: SimulationConfig, number: int) -> int:
    """The hidden segment whose tastes the event of this number turns."""
    return int(np.random.default_rng([config.seed, 10, number]).integers(config.segments))


def _novelty(config: SimulationConfig, world: World, day: date) -> Floats:
    """How much more new items are shown (I,); −∞ for those that are still to come."""
    age = (day - config.start).days - world.item_launch
    lift = np.where(age >= 0, NEW_SHOWN * np.exp(-np.maximum(age, 0) / NEW_DAYS), -np.inf)
    return np.where(world.item_launch == 0, 0.0, lift)


def surging(config: SimulationConfig, world: World, number: int) -> np.ndarray:
    """The items that the event of this number lifts: some of its favoured categories."""
    event = config.events[number]
    names = np.array(config.categories)[world.item_category]
    favoured = np.isin(names, event.favour or ())
    own = np.flatnonzero(favoured)
    random = np.random.default_rng([config.seed, 2, number])
    return random.choice(own, min(event.items or 1, own.size), replace=False)
