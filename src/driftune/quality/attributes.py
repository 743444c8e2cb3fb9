"""Attributes: a column that has one value in all rows of an item or a user, today and before.

Which columns are attributes is not configured but seen: on most days before nearly all rows of an
item (a user) agreed.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from driftune.config import Config
from driftune.quality.belonging import ITEM, USER
from driftune.quality.day_profile import ColumnProfile
from driftune.quality.finding import Finding
from driftune.quality.usual import Band, band, share_finding

# A larger share of rows unlike the others of their item: no attribute of items.
ATTRIBUTE = 0.01
# Fewer of them in common with the days before say nothing.
LEAST_ITEMS = 20
# An item's usual value is that of so many days before: a change is reported once, not for weeks.
RECENT = 3
# Relative difference of numbers that is none.
SAME = 0.01
# From so large a difference of logarithms on a percentage is hard to read.
MANY_TIMES = math.log(100)
Values = Mapping[str, float | str]


def attribute_findings(
    config: Config, name: str, here: ColumnProfile, before: Sequence[ColumnProfile], *, number: bool
) -> Iterator[Finding]:
    """Judge a column by the days before, oldest first."""
    slack = config.quality.slack
    for owner in (ITEM, USER):
        figure = owner.share
        values = [column[figure] for column in before if figure in column]
        if figure not in here or not values or float(np.median(values)) >= ATTRIBUTE:
            continue
        yield from share_finding(
            config, f"column_{figure}", name, values, here[figure], slack.per_item,
            here.get(owner.rows) or here["looked"],
            f"of the rows differ from their {owner.name}'s other rows",
        )  # fmt: skip
    for owner in (ITEM, USER):
        days = [seen for column in [*before, here] if (seen := column.get(owner.values))]
        if here.get(owner.values) and len(days) > 1:
            rows = [column.get(owner.share, 1.0) for column in before]
            belongs = float(np.median(rows)) < ATTRIBUTE
            yield from _day_by_day(config, name, owner.name, days, belongs, number)


def _day_by_day(
    config: Config, name: str, owner: str, days: Sequence[Values], belongs: bool, number: bool
) -> Iterator[Finding]:
    """The last of the days beside those before it, item by item (user by user)."""
    slack, deviations = config.quality.slack, config.quality.band
    table = _table(days, number)
    so_far = [table[: n + 1] for n in range(1, len(days))]
    if belongs:
        allowed = slack.item_changed if owner == "item" else slack.user_changed
        changed = [_changed(table, number) for table in so_far]
        today, limits = _beside(changed, allowed, deviations)
        if today is not None and limits is not None:
            detail = f"{today:.0%} of the {owner}s have another value than on the days before"
            detail += f", usually {limits.usual:.0%}"
            yield Finding(f"column_{owner}_changed", name, limits.excess(today), detail)
    if number and owner == "item":
        today, limits = _beside([_level(table) for table in so_far], slack.item_level, deviations)
        if today is not None and limits is not None:
            detail = f"the same items have values {_level_words(today)} the days before"
            yield Finding("column_item_level", name, abs(limits.excess(today)), detail)


def _beside(
    figures: Sequence[float | None], slack: float, deviations: float
) -> tuple[float | None, Band | None]:
    """The last figure, and what is usual by the others."""
    before = [figure for figure in figures[:-1] if figure is not None]
    return figures[-1] if figures else None, band(before, slack, deviations)


def _table(days: Sequence[Values], number: bool) -> np.ndarray:
    """Values (days, items) of all items (users) of the days, of texts a code for each; NaN where
    absent."""
    items = {item: n for n, item in enumerate(dict.fromkeys(i for day in days for i in day))}
    codes: dict[str, int] = {}
    table = np.full((len(days), len(items)), np.nan)
    for row, day in zip(table, days, strict=True):
        at = [items[item] for item in day]
        values = list(day.values())
        row[at] = (
            values if number else [codes.setdefault(str(value), len(codes)) for value in values]
        )
    return table


def _changed(table: np.ndarray, number: bool) -> float | None:
    """The share of the last day's owners whose value is none of their last ``RECENT`` days'."""
    today, recent = table[-1], table[-1 - RECENT : -1]
    both = ~np.isnan(today) & ~np.isnan(recent).all(axis=0)
    if both.sum() < LEAST_ITEMS:
        return None
    near = SAME * np.abs(today[both]) if number else 0.0
    # Near the end of the range of floats a difference is infinite: another value.
    with np.errstate(over="ignore"):
        same = np.abs(recent[:, both] - today[both]) <= near
    return float(1 - same.any(axis=0).mean())


def _level(table: np.ndarray) -> float | None:
    """Median over items of the last day's logarithm minus the median of their recent days'.

    Paired by item, so that neither the mix of items nor the spread of their values matters.
    """
    today, recent = table[-1], table[-1 - RECENT : -1]
    both = (today > 0) & ~np.isnan(recent).all(axis=0)
    # Halves, and a difference of logarithms: neither a sum of two nor a ratio leaves the range.
    usual = np.nanmedian(recent[:, both] / 2, axis=0)
    there = usual > 0
    if there.sum() < LEAST_ITEMS:
        return None
    return float(np.median(np.log(today[both][there] / 2) - np.log(usual[there])))


def _level_words(level: float) -> str:
    """A difference of logarithms in words: a percentage, or how many times, of a large one."""
    if abs(level) < MANY_TIMES:
        return f"{math.expm1(level):+.1%} beside"
    return f"{math.exp(min(abs(level), 700.0)):.3g} times {'above' if level > 0 else 'below'}"
