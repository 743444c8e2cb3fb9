"""Ids that suddenly have a large share of the rows: a robot, a test account, a stuck default."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from driftune.config import Config
from driftune.quality.day_profile import ColumnProfile
from driftune.quality.finding import Finding
from driftune.quality.usual import LEAST_DAYS, band

SHOWN = 30
# An item that is served more often than before, as taste and season have it.
RISE = 2.0


def frequent_findings(
    config: Config,
    name: str,
    here: ColumnProfile,
    before: Sequence[ColumnProfile],
    *,
    launches: bool,
) -> Iterator[Finding]:
    """The largest gain of one id over the largest share of the rows that it had before.

    What single ids usually gain is each day's largest gain beside the other days. ``launches``: an
    id that no day before names may have as much as the most frequent one, as new items have, and
    others up to that may have ``RISE`` times their own largest share.
    """
    days = [day for day in before if day.get("top")]
    if len(days) < LEAST_DAYS or not here.get("top"):
        return
    ids = list(dict.fromkeys(name for day in [*days, here] for name in day["top"]))
    shares = np.array([_shares(day, ids) for day in days])
    unseen = np.array([_most_unseen(day) for day in days])
    gains = [
        float(_gains(shares[n], np.delete(shares, n, axis=0), np.delete(unseen, n), launches).max())
        for n in range(len(days))
    ]
    shown = _shares(here, ids)
    today = _gains(shown, shares, unseen, launches)
    most = int(np.argmax(today))
    own = max(float(shares[:, most].max()), float(unseen.max()))
    noise = math.sqrt(max(own, 1 / here["looked"]) / here["looked"])
    limits = band(gains, config.quality.slack.frequent, config.quality.band, noise)
    if limits is not None:
        detail = (
            f"{ids[most][:SHOWN]!r} has {shown[most]:.2%} of the rows, before at most {own:.2%}"
        )
        yield Finding("column_frequent", name, limits.excess(float(today[most])), detail)


def _gains(day: np.ndarray, others: np.ndarray, unseen: np.ndarray, launches: bool) -> np.ndarray:
    """By id (ids,) the day's share minus the largest of the other days (days, ids)."""
    largest = np.maximum(others, unseen[:, None]).max(axis=0)
    if launches:
        largest = np.where(others.max(axis=0) == 0, others.max(), RISE * largest)
        largest = np.minimum(largest, max(others.max(), unseen.max()))
    gains: np.ndarray = day - largest
    return gains


def _shares(day: ColumnProfile, ids: Sequence[str]) -> np.ndarray:
    return np.array([day["top"].get(name, 0) for name in ids]) / day["looked"]


def _most_unseen(day: ColumnProfile) -> float:
    """The share that an id may have which the profile does not name: it names the largest only."""
    whole = day["distinct"] <= len(day["top"])
    return 0.0 if whole else min(day["top"].values()) / day["looked"]
