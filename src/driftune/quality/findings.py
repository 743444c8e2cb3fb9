"""What stands out of a day: each rule's figure for the day, its domains and its columns."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Literal

from driftune.config import Config
from driftune.lake.clock import clock_of
from driftune.quality.columns import column_findings
from driftune.quality.day_profile import DayProfile, DomainCounts
from driftune.quality.finding import Finding
from driftune.quality.usual import Band, History, band

# A usual hour has this share of the day's rows, an empty one this share of its usual rows.
HOUR_SHARE, HOUR_LEFT = 0.01, 0.1
# Half an impression more of each kind keeps odds finite (Haldane and Anscombe).
HALF = 0.5
NOTHING: DomainCounts = {
    "delivered": 0,
    "rows": 0,
    "rejected": 0,
    "copies": 0,
    "clicks": 0,
    "conversions": 0,
}
Count = Literal["rows", "clicks", "conversions"]


@dataclass(frozen=True)
class Findings:
    """What stands out, by what it is about."""

    day: tuple[Finding, ...]
    domains: tuple[Finding, ...]
    columns: tuple[Finding, ...]


def find(config: Config, profile: DayProfile, history: History) -> Findings:
    """Judge a day's profile by the limits of params.yaml and by the days before it."""
    return Findings(
        tuple(_day(config, profile, history)),
        tuple(_domains(config, profile, history)),
        tuple(column_findings(config, profile, history)),
    )


def _day(config: Config, profile: DayProfile, history: History) -> Iterator[Finding]:
    quality = config.quality
    files = quality.files
    if files is None:
        before = history.values(lambda earlier: earlier.get("files"), like=True)
        files = int(min(before)) if len(before) >= 3 else None
    if files is not None:
        detail = f"{profile['files']} files with rows, {files} expected"
        yield Finding("files", "day", files / max(profile["files"], HALF), detail)
    empty = _empty_hours(config, profile, history)
    yield Finding(
        "hours_missing",
        "day",
        2.0 if empty else 0.0,
        f"no rows in hours {', '.join(map(str, empty))}",
    )
    if profile["silent_hours"] is not None:
        detail = (
            f"the newest impression is {profile['silent_hours']:.1f} hours older than the day's end"
        )
        yield Finding(
            "last_impression", "day", profile["silent_hours"] / quality.max_silence_hours, detail
        )
    early = profile["written_early"]
    yield Finding("written_early", "day", 2.0 * early, f"{early} files")
    same = [
        earlier["day"] for earlier in history.profiles if earlier.get("trace") == profile["trace"]
    ]
    detail = f"the same users, items, clicks and times of day as {same[-1]}" if same else ""
    yield Finding("stale_day", "day", 2.0 if same and profile["rows"] else 0.0, detail)
    usual = band(history.values(_repeated), quality.slack.values, quality.band)
    share = _repeated(profile)
    if usual is not None and share is not None:
        detail = f"{share:.2%} of the rows, usually {usual.usual:.2%}"
        yield Finding("repeated", "day", usual.excess(share), detail)


def _repeated(profile: DayProfile) -> float | None:
    """The share of repeated impressions, exact copies among them; None of a day by its record."""
    if "repeated" not in profile:
        return None
    copies = sum(row.get("copies", 0) for row in profile["domains"].values())
    return float(profile["repeated"]) + copies / max(profile["delivered"], 1)


def _empty_hours(config: Config, profile: DayProfile, history: History) -> list[int]:
    """Hours of the clock without rows that usually have them; some days skip an hour."""
    days = [
        (earlier, clock_of(config, date.fromisoformat(earlier["day"])).hours)
        for earlier in history.like()
        if earlier.get("hours") and earlier["rows"]
    ]
    if len(days) < 3 or not profile["rows"]:
        return []
    found = []
    for hour in clock_of(config, date.fromisoformat(profile["day"])).hours:
        shown = (earlier for earlier, hours in days if hour in hours)
        least = min((earlier["hours"][hour] / earlier["rows"] for earlier in shown), default=0.0)
        here = profile["hours"][hour] / profile["rows"]
        if least >= HOUR_SHARE and here < HOUR_LEFT * least:
            found.append(hour)
    return found


def _domains(config: Config, profile: DayProfile, history: History) -> Iterator[Finding]:
    quality, limits = config.quality, config.quality.domain
    known = {name for earlier in history.like() for name in earlier["domains"]}
    for domain in sorted(known | set(profile["domains"])):
        here = profile["domains"].get(domain, NOTHING)
        # A copy takes nothing away: the first of its rows is kept.
        once = here["delivered"] - here["copies"]
        if once:
            share = (here["rejected"] - here["copies"]) / once
            detail = f"{share:.1%} of {once:,} rows rejected, copies apart"
            yield Finding(
                "domain_rejected", domain, _over(share, limits.max_rejected_share), detail
            )
        before = [
            earlier["domains"][domain] for earlier in history.like() if domain in earlier["domains"]
        ]
        before = [earlier for earlier in before if earlier["rows"]]
        rows = band(
            [math.log(earlier["rows"]) for earlier in before],
            quality.volume,
            quality.band,
            1 / math.sqrt(max(here["rows"], 1)),
            history.weekly_spread(partial(_log_rows, domain)),
        )
        if rows is None or math.exp(rows.usual) < limits.min_rows:
            continue
        usual_rows = math.exp(rows.usual)
        detail = f"{here['rows']:,} rows, usually {usual_rows:,.0f}"
        gone = limits.volume * usual_rows / max(here["rows"], HALF)
        yield Finding("domain_gone", domain, gone, detail)
        moved = abs(rows.excess(math.log(max(here["rows"], HALF))))
        yield Finding("domain_volume", domain, moved, detail)
        if here["rows"] < limits.min_rows:
            continue
        yield from _rates(config, domain, here, before)


def _log_rows(domain: str, profile: DayProfile) -> float | None:
    rows = profile["domains"].get(domain, NOTHING)["rows"]
    return math.log(rows) if rows else None


def _rates(
    config: Config, domain: str, here: DomainCounts, before: list[DomainCounts]
) -> Iterator[Finding]:
    odds = _log_odds(here["clicks"], here["rows"])
    usual = _rate_band(config, "clicks", "rows", here, before)
    if usual is not None:
        detail = f"{here['clicks'] / here['rows']:.1%} clicks, usually {_share(usual.usual):.1%}"
        # Small domains: what chance can bring is not absurd.
        limit = max(math.log(config.quality.domain.click_odds), usual.allowed)
        yield Finding("domain_click_rate_absurd", domain, abs(odds - usual.usual) / limit, detail)
        yield Finding("domain_click_rate", domain, abs(usual.excess(odds)), detail)
    if not here["clicks"] or "conversions" not in here:
        return
    clicked = [earlier for earlier in before if earlier["clicks"] and "conversions" in earlier]
    usual = _rate_band(config, "conversions", "clicks", here, clicked)
    if usual is not None:
        odds = _log_odds(here["conversions"], here["clicks"])
        share = here["conversions"] / here["clicks"]
        detail = f"{share:.1%} conversions per click, usually {_share(usual.usual):.1%}"
        yield Finding("domain_conversion_rate", domain, abs(usual.excess(odds)), detail)


def _rate_band(
    config: Config,
    positives: Count,
    total: Count,
    here: DomainCounts,
    before: list[DomainCounts],
) -> Band | None:
    """The usual log odds of a rate, and what they may differ by on a day of this size."""
    pooled = (
        sum(earlier[positives] for earlier in before),
        sum(earlier[total] for earlier in before),
    )
    return band(
        [_log_odds(earlier[positives], earlier[total]) for earlier in before],
        config.quality.rate,
        config.quality.band,
        _noise(*pooled, here[total]),
    )


def _over(value: float, limit: float) -> float:
    """A value in its limit; a limit of 0 allows nothing."""
    return value / limit if limit else 2.0 * (value > 0)


def _log_odds(positives: int, rows: int) -> float:
    return math.log((positives + HALF) / (rows - positives + HALF))


def _share(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))


def _noise(positives: int, total: int, rows: int) -> float:
    """The standard error of log odds over ``rows`` rows at the usual rate."""
    rate = (positives + HALF) / (total + 1)
    return 1 / math.sqrt(max(rows * rate * (1 - rate), HALF))
