"""The logging policy: which items a request shows, and with which probability."""

import numpy as np

from driftune.simulate.world import Floats, Ints, World

DEMAND_SHARE = 0.5
DEMAND_SHARPNESS = 0.6
DEPTHS = (4, 12)


def item_shares(world: World, taste: Floats, lift: Floats | None = None) -> Floats:
    """Return the probability (I,) of each item for the first position of a domain's requests.

    Half popularity, half demand: the softmax of the domain's ``taste`` (C,) over categories, spread
    within each category by popularity. ``lift`` (I,) raises single items on the log scale. Users
    play no part, so the policy is known exactly.
    """
    demand = np.exp(DEMAND_SHARPNESS * taste)
    stock = np.bincount(world.item_category, weights=world.item_popularity, minlength=taste.size)
    wanted = (demand / demand.sum() / stock)[world.item_category] * world.item_popularity
    shares = (1 - DEMAND_SHARE) * world.item_popularity + DEMAND_SHARE * wanted
    if lift is not None:
        shares = shares * np.exp(lift)
    normed: Floats = shares / shares.sum()
    return normed


def draw_depth(rng: np.random.Generator, requests: int) -> Ints:
    """Draw how many items each request shows (R,): 8 on average."""
    return rng.integers(DEPTHS[0], DEPTHS[1] + 1, requests)


def flat_positions(depth: Ints) -> Ints:
    """Return positions from 0, request by request, for ``depth`` (R,) items each."""
    starts = np.cumsum(depth) - depth
    return np.arange(depth.sum()) - np.repeat(starts, depth)


def draw_slates(rng: np.random.Generator, shares: Floats, depth: Ints) -> tuple[Ints, Floats]:
    """Draw a list of different items for each request.

    ``depth`` (R,) is the number of items that each request shows, at most the number of items.
    Returns items and propensities, both flat, request by request and position by position. A
    propensity is the probability of the item at its position given the items above it: positions
    are filled one by one from ``shares`` without the items already used (Plackett-Luce).
    """
    cumulative = np.cumsum(shares)
    widest = int(depth.max())
    slates = np.full((depth.size, widest), -1, dtype=np.int64)
    for position in range(widest):
        open_rows = np.flatnonzero(depth > position)
        # Redrawing an item that is already shown equals drawing among those that are not.
        while open_rows.size:
            drawn = np.searchsorted(cumulative, rng.random(open_rows.size) * cumulative[-1])
            slates[open_rows, position] = drawn
            repeated = (slates[open_rows, :position] == drawn[:, None]).any(axis=1)
            open_rows = open_rows[repeated]
    shown = slates >= 0
    chosen = np.where(shown, shares[slates], 0.0)
    above = np.cumsum(chosen, axis=1) - chosen
    return slates[shown], (chosen / (1 - above))[shown]
