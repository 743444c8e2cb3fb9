"""What stands out of a day's columns: nulls, values never seen, outliers, distances of mixes."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import numpy as np

from driftune.config import Config
from driftune.quality.attributes import attribute_findings
from driftune.quality.day_profile import ColumnProfile, DayProfile
from driftune.quality.finding import Finding
from driftune.quality.frequent import frequent_findings
from driftune.quality.known import known_finding
from driftune.quality.profile import IDENTITY, NUMBER, columns_of
from driftune.quality.usual import LEAST_DAYS, History, band, share_finding

# Tukey's far-out fences (Exploratory Data Analysis, 1977), on the histogram's scale of logarithms;
# what one row in a thousand had before is no outlier either.
FENCE, RARE = 3.0, 0.001
SHOWN = 3


def column_findings(config: Config, profile: DayProfile, history: History) -> Iterator[Finding]:
    """Judge each column by the days before on which it was looked at."""
    slack = config.quality.slack
    for name, here in profile["columns"].items():
        if not here["looked"]:
            continue
        if "outside" in here:
            yield Finding("column_range", name, 2.0 * here["outside"], f"{here['outside']:,} rows")
        days = [earlier for earlier in history.profiles if name in earlier["columns"]]
        before = [earlier["columns"][name] for earlier in days]
        before = [
            earlier for earlier in before if earlier["looked"] and earlier["kind"] == here["kind"]
        ]
        if len(before) >= LEAST_DAYS:
            yield from _column(config, name, here, before)
        if "known" in here:
            same = [
                earlier["columns"][name]
                for earlier in days
                if earlier.get("vocabulary") == profile["vocabulary"]
                and "known" in earlier["columns"][name]
            ]
            wide = slack.known_items if name == _items(config) else slack.known_users
            found = known_finding(config, name, here, same, wide)
            if found is not None:
                yield found
    yield from _hours(config, profile, history)


def _column(
    config: Config, name: str, here: ColumnProfile, before: list[ColumnProfile]
) -> Iterator[Finding]:
    slack, rows = config.quality.slack, here["looked"]

    nulls = [earlier["nulls"] / earlier["looked"] for earlier in before if "nulls" in earlier]
    yield from share_finding(
        config, "column_nulls", name, nulls, here["nulls"] / rows, slack.nulls, rows, "null"
    )
    if here["kind"] == IDENTITY:
        launches = name == _items(config)
        yield from frequent_findings(config, name, here, before, launches=launches)
        yield from _new(config, "column_format", name, "formats", here, before, slack.format)
    elif here["kind"] == NUMBER:
        outliers, bounds = _outliers(here["bins"], [earlier["bins"] for earlier in before])
        others = [
            _outliers(earlier["bins"], [earlier["bins"] for earlier in before])[0]
            for earlier in before
        ]
        yield from share_finding(
            config, "column_outliers", name, others, outliers, slack.outliers, rows, bounds
        )
        yield from _drift(config, name, here["bins"], [earlier["bins"] for earlier in before])
    else:
        if here["whole"] and all(earlier["whole"] for earlier in before):
            yield from _new(config, "column_new_values", name, "values", here, before, slack.values)
        yield from _drift(config, name, here["values"], [earlier["values"] for earlier in before])
    if here["kind"] != IDENTITY:
        yield from attribute_findings(config, name, here, before, number=here["kind"] == NUMBER)
    if here["kind"] == IDENTITY:
        counts = [earlier["distinct"] / earlier["looked"] for earlier in before]
        value = here["distinct"] / rows
        # More rows hold fewer distinct values per row: compared where days are of like size.
        sizes = [earlier["looked"] for earlier in before]
        if 0.5 < rows / float(np.median(sizes)) < 2:
            usual = band(counts, slack.distinct, config.quality.band)
            if usual is not None:
                detail = f"{value:.1%} distinct, usually {usual.usual:.1%}"
                yield Finding("column_distinct", name, abs(usual.excess(value)), detail)


def _items(config: Config) -> str:
    return next(column.name for column in columns_of(config) if column.staged == "item_id")


def _new(
    config: Config,
    rule: str,
    name: str,
    part: Literal["formats", "values"],
    here: ColumnProfile,
    before: list[ColumnProfile],
    slack: float,
) -> Iterator[Finding]:
    """The share of rows with values (or forms of them) that no day before had."""
    seen: set[str] = set().union(*(earlier[part] for earlier in before))
    new = {value: n for value, n in here[part].items() if value not in seen}
    shown = ", ".join(repr(value[:30]) for value in list(new)[:SHOWN])
    share = sum(new.values()) / here["looked"]
    noise = config.quality.band / here["looked"]
    yield Finding(rule, name, share / max(slack, noise), f"{share:.2%} never seen before: {shown}")


def _outliers(here: Mapping[str, int], before: list[Mapping[str, int]]) -> tuple[float, str]:
    """The share of rows outside the fences of the days before, and in words."""
    pooled: Counter[str] = Counter()
    for earlier in before:
        pooled.update(earlier)
    if not pooled or not here:
        return 0.0, "outliers"
    codes = np.array(sorted(int(code) for code in pooled))
    reached = np.cumsum([pooled[str(code)] for code in codes])
    total = reached[-1]

    def quantile(share: float) -> float:
        return float(codes[min(np.searchsorted(reached, share * total), len(codes) - 1)])

    low, high = quantile(0.25), quantile(0.75)
    reach = FENCE * max(high - low, 2.0)
    low, high = min(low - reach, quantile(RARE)), max(high + reach, quantile(1 - RARE))
    outside = sum(n for code, n in here.items() if not low <= int(code) <= high)
    return outside / sum(here.values()), "far outside the usual values"


def _drift(
    config: Config, name: str, here: Mapping[str, int], before: Sequence[Mapping[str, int]]
) -> Iterator[Finding]:
    """Total variation between the day's mix and the mean of the days before.

    What days usually differ by is each one's distance to the mean of the others.
    """
    mixes = [_mix(earlier) for earlier in before if earlier]
    if len(mixes) < LEAST_DAYS or not here:
        return
    names = sorted(set(here).union(*mixes))
    table = np.array([[mix.get(value, 0.0) for value in names] for mix in mixes])
    today = np.array([_mix(here).get(value, 0.0) for value in names])
    total = table.sum(axis=0)
    usual = [_variation(row, (total - row) / (len(mixes) - 1)) for row in table]
    distance = _variation(today, total / len(mixes))
    limits = band(usual, config.quality.slack.drift, config.quality.band)
    if limits is not None:
        moved = np.argsort(-np.abs(today - total / len(mixes)))[:SHOWN]
        what = ", ".join(repr(names[place][:30]) for place in moved)
        detail = f"distance {distance:.2f}, usually {limits.usual:.2f}"
        # A number's bins say nothing to a person.
        detail += "" if all(value.lstrip("-").isdigit() for value in names) else f"; most: {what}"
        yield Finding("column_drift", name, limits.excess(distance), detail)


def _hours(config: Config, profile: DayProfile, history: History) -> Iterator[Finding]:
    hours = [
        {str(hour): n for hour, n in enumerate(rows)}
        for earlier in history.like()
        if (rows := earlier.get("hours")) and earlier["rows"]
    ]
    if profile["rows"]:
        here = {str(hour): n for hour, n in enumerate(profile["hours"])}
        yield from _drift(config, config.columns.time.name, here, hours)


def _mix(counts: Mapping[str, int]) -> dict[str, float]:
    total = sum(counts.values()) or 1
    return {value: n / total for value, n in counts.items()}


def _variation(one: np.ndarray, other: np.ndarray) -> float:
    return 0.5 * float(np.abs(one - other).sum())
