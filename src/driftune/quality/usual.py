"""What is usual: the profiles of the days before, and a band around their figures."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.quality.day_profile import FORMAT, DayProfile, DomainCounts, read_profile
from driftune.quality.finding import Finding
from driftune.quality.record import DayQuality, read_quality

# Fewer days say nothing about what days usually differ by.
LEAST_DAYS = 3
WEEK = timedelta(days=7)
# Of a spread that many days tell, not three or four, fewer deviations are as unusual.
WELL_KNOWN = 0.75
# Of a normal distribution: its standard deviation in median absolute deviations.
MAD_TO_SD = 1.4826


@dataclass(frozen=True)
class Band:
    """The usual value (median), what it may differ by, and over how many days that was seen."""

    usual: float
    allowed: float
    days: int

    def excess(self, value: float) -> float:
        """How far a value lies from the usual one, in what is allowed: beyond 1 it is unusual."""
        return (value - self.usual) / self.allowed


def band(
    values: Sequence[float],
    slack: float,
    deviations: float,
    noise: float = 0.0,
    spread: float | None = None,
) -> Band | None:
    """Median ± ``deviations`` robust standard deviations, at least ``slack``; None for few days.

    The standard deviation is the median absolute deviation, scaled (Rousseeuw and Croux 1993, eq.
    1.2), or ``spread`` where it is known better, of which fewer count, and the sampling error
    ``noise`` of the value that is to be judged.
    """
    if len(values) < LEAST_DAYS:
        return None
    usual = float(np.median(values))
    if spread is None:
        spread = MAD_TO_SD * float(np.median(np.abs(np.asarray(values) - usual)))
    else:
        spread *= WELL_KNOWN
    return Band(usual, max(slack, deviations * math.hypot(spread, noise)), len(values))


def share_finding(
    config: Config,
    rule: str,
    name: str,
    before: Sequence[float],
    value: float,
    slack: float,
    rows: int,
    words: str,
) -> Iterator[Finding]:
    """A share of ``rows`` that is unusual when it is higher; none when too few days are known."""
    middle = float(np.median(before)) if before else 0.0
    noise = math.sqrt(max(middle * (1 - middle), 1 / rows) / rows)
    usual = band(before, slack, config.quality.band, noise)
    if usual is not None:
        detail = f"{value:.2%} {words}, usually {usual.usual:.2%}"
        yield Finding(rule, name, usual.excess(value), detail)


@dataclass(frozen=True)
class History:
    """Profiles of the days before ``day``, oldest first; ``weekday_days``: so many of its weekday
    are enough to be compared with alone."""

    day: date
    profiles: tuple[DayProfile, ...]
    weekday_days: int

    def like(self) -> tuple[DayProfile, ...]:
        """The profiles of the day's weekday, all of them where those are few."""
        same = tuple(
            profile
            for profile in self.profiles
            if date.fromisoformat(profile["day"]).weekday() == self.day.weekday()
        )
        return same if len(same) >= self.weekday_days else self.profiles

    def values(
        self, of: Callable[[DayProfile], float | None], *, like: bool = False
    ) -> list[float]:
        """A figure of each profile that has it."""
        found = (of(profile) for profile in (self.like() if like else self.profiles))
        return [value for value in found if value is not None]

    def weekly_spread(self, of: Callable[[DayProfile], float | None]) -> float | None:
        """How far a figure lies from its weekday's level, as a robust standard deviation.

        The weekday's own few days tell little of it: it comes from all differences to a week before
        (von Neumann 1941, their median instead of their mean). None when those are few, or when the
        weekday is not compared with itself alone.
        """
        if len(self.like()) == len(self.profiles):
            return None
        figures = {date.fromisoformat(profile["day"]): of(profile) for profile in self.profiles}
        moved = [
            abs(value - before)
            for day, value in figures.items()
            if value is not None and (before := figures.get(day - WEEK)) is not None
        ]
        if len(moved) < WEEK.days:
            return None
        return MAD_TO_SD * float(np.median(moved)) / math.sqrt(2)


def history_of(config: Config, day: date) -> History:
    """Read what the workspace knows of the accepted days before ``day``.

    A day that was taken in before there were profiles counts by its quality record: its rows and
    clicks per domain, not its columns.
    """
    workspace = Workspace(config)
    found = []
    for back in range(config.quality.history_days, 0, -1):
        before = day - timedelta(days=back)
        profile = read_profile(workspace, before)
        if profile is None:
            record = read_quality(workspace, before)
            profile = None if record is None else _of_record(record)
        if profile is not None:
            found.append(profile)
    return History(day, tuple(found), config.quality.weekday_days)


def _of_record(record: DayQuality) -> DayProfile | None:
    if record.verdict == "refused":
        return None
    domains: dict[str, DomainCounts] = {}
    for row in record.domains:
        counts: DomainCounts = {
            "delivered": row["rows"] + row["rejected"],
            "rows": row["rows"],
            "rejected": row["rejected"],
            "copies": 0,
            "clicks": row["clicks"],
        }
        if "conversions" in row:
            counts["conversions"] = row["conversions"]
        domains[row["domain"]] = counts
    return {
        "format": FORMAT,
        "day": record.day.isoformat(),
        "rows": record.accepted,
        "domains": domains,
        "columns": {},
    }
