"""What a domain shows and likes on a day: its own taste, and the planted events so far."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from driftune.simulate.settings import Event, SimulationConfig
from driftune.simulate.world import SHIFT, Floats, World

# On the logit scale, at size 1: how much more a surging item is shown, and how much more liked.
SURGE_SHOWN, SURGE_LIKED = 2.0, 1.2
# A new item is shown more at first, e times less so every few days.
NEW_SHOWN, NEW_DAYS = 1.0, 3.0


@dataclass(frozen=True)
class Mood:
    """A domain on a day: tastes over categories (C,) and lifts of single items (I,).

    ``shown`` forms what the policy shows, ``liked`` what users click and order; most events move
    both.
    """

    shown: Floats
    liked: Floats
    shown_lift: Floats
    liked_lift: Floats


def strength(event: Event, day: date) -> float:
    """How far the event is in force on a day, from 0 to 1."""
    since = (day - event.day).days
    if since < 0:
        return 0.0
    if event.kind == "gradual":
        return min(1.0, (since + 1) / (event.over or 1))
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
    if config.taste_noise:
        random = np.random.default_rng([config.seed, 4, day.toordinal(), domain])
        taste = taste + config.taste_noise * random.normal(0, 1, taste.size)
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
        favoured = np.isin(config.categories, event.favour).astype(float)
        shift = favoured - np.isin(config.categories, event.against)
        move = SHIFT * force * (shift - shift.mean())
        if event.kind != "label_only":
            shown += move
        if event.kind != "traffic_only":
            liked += move
    return Mood(shown, liked, shown_lift, liked_lift)


def _novelty(config: SimulationConfig, world: World, day: date) -> Floats:
    """How much more new items are shown (I,); −∞ for those that are still to come."""
    age = (day - config.start).days - world.item_launch
    lift = np.where(age >= 0, NEW_SHOWN * np.exp(-np.maximum(age, 0) / NEW_DAYS), -np.inf)
    return np.where(world.item_launch == 0, 0.0, lift)


def surging(config: SimulationConfig, world: World, number: int) -> np.ndarray:
    """The items that the event of this number lifts: some of its favoured categories."""
    event = config.events[number]
    favoured = np.isin(np.array(config.categories)[world.item_category], event.favour)
    own = np.flatnonzero(favoured)
    random = np.random.default_rng([config.seed, 2, number])
    return random.choice(own, min(event.items or 1, own.size), replace=False)
