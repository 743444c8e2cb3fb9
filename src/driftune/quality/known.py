"""The share of rows whose users or items the encoder knows, which falls as time goes by."""

import math
from collections.abc import Sequence

import numpy as np

from driftune.config import Config
from driftune.quality.day_profile import ColumnProfile
from driftune.quality.finding import Finding
from driftune.quality.usual import LEAST_DAYS, MAD_TO_SD, band

# What is usual is the last days' trend: an encoder grows old, and users of a campaign stay.
DAYS = 14
# With fewer days a line follows chance: their median is what is usual.
TREND_DAYS = 7


def known_finding(
    config: Config, name: str, here: ColumnProfile, before: Sequence[ColumnProfile], slack: float
) -> Finding | None:
    """Judge a column by days with the same encoder, oldest first; None where those are too few.

    The trend is Theil's and Sen's (Sen 1968), the median of the slopes between all pairs of days. A
    day that lies below it as far as one of the last days did, as weekends may, is usual.
    """
    shares = np.array([day["known"] for day in before[-DAYS:]])
    if len(shares) < LEAST_DAYS:
        return None
    at = np.arange(len(shares)) - len(shares)
    slope = 0.0
    many = len(shares) >= TREND_DAYS
    if many:
        one, other = np.triu_indices(len(shares), 1)
        slope = float(np.median((shares[other] - shares[one]) / (other - one)))
    level = shares - slope * at
    middle = float(np.median(level))
    noise = math.sqrt(max(middle * (1 - middle), 1 / here["looked"]) / here["looked"])
    spread = MAD_TO_SD * float(np.median(np.abs(level - middle))) if many else None
    limits = band(level.tolist(), slack, config.quality.band, noise, spread)
    if limits is None:
        return None
    allowed = max(limits.allowed, limits.usual - float(level.min()))
    detail = f"{here['known']:.2%} of the rows are known, as of late {limits.usual:.2%}"
    return Finding("column_known", name, (limits.usual - here["known"]) / allowed, detail)
