"""Measure: what Evidently says of each domain's day, for all configured triggers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from driftune.config import Config
from driftune.config.triggers import Measure, Trigger
from driftune.drift.cells import logit_values
from driftune.drift.compare import Windows
from driftune.drift.distances import whole_counts
from driftune.drift.measure import Measured
from driftune.drift.problem import Problem, fault
from driftune.drift.profiles import Profile
from driftune.drift.signals import SIGNALS, CategoricalSignal, CountedSignal, NumericalSignal
from driftune.drift.triggers.columns import PREDICTION, LakeColumn, lake_columns
from driftune.drift.triggers.evidently import metric_value, own_metric, value_of
from driftune.drift.triggers.judge import Reading, Readings
from driftune.drift.triggers.rows import Compared, Drawn, Sides, drawn_rows
from driftune.drift.windows import DomainWindow, category_names, compared, read_profiles
from driftune.errors import DriftuneError, note_of
from driftune.lake.table import Lake

if TYPE_CHECKING:
    from evidently.core.metric_types import Metric


@dataclass(frozen=True)
class MeasuredTriggers:
    """What was measured by domain key; ``problems``: of domains where that failed."""

    readings: Readings = field(default_factory=dict)
    problems: Mapping[str, Problem] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """A domain's day that is measured: its windows, and the triggers that watch it.

    ``windows_day``: of the day whose file names the windows' categories.
    """

    windows: Windows
    entries: Sequence[Trigger]
    windows_day: date

    @property
    def wanted(self) -> Compared:
        """What is read of the lake for it."""
        days = self.windows.comparable_days(settled=False)
        then = sum(_rows(self.windows.reference[day]) for day in days)
        now = _rows(self.windows.current)
        return Compared(self.windows.key, self.windows.day, days, (now, then))


@dataclass(frozen=True)
class _Sources:
    """What values come of: columns of the lake by name, metrics of one's own, the drawn rows."""

    columns: Mapping[Measure, Mapping[str, LakeColumn]]
    metrics: Mapping[Measure, "Metric"]
    drawn: Drawn


def measure_triggers(
    config: Config, windows: Sequence[DomainWindow], measured: Sequence[Measured]
) -> MeasuredTriggers:
    """Measure the configured triggers of a day's domains; the lake is read once for all of them.

    Measured is each domain that has ``drift.min_rows`` impressions on both sides of a whole day,
    whether its clicks suffice to judge the champion or not.

    Raises:
        ConfigError: when the lake has no column that a trigger names.
        LakeError: when the lake lacks a day.
    """
    if not config.drift.measured or not windows:
        return MeasuredTriggers()
    counts = {each.key: each.counts for each in measured}
    problems: dict[str, Problem] = {}
    asked: list[Asked] = []
    for window in windows:
        try:
            domain = _asked_of(config, window, counts.get(window.key, {}))
        except Exception as error:
            problems[window.key] = _fault(window, error)
            continue
        if domain is not None:
            asked.append(domain)
    of_key = {window.key: window for window in windows}
    readings: dict[str, Sequence[Reading]] = {}
    for each, found in measured_days(config, asked):
        key = each.windows.key
        if isinstance(found, Exception):
            problems[key] = _fault(of_key[key], found)
        else:
            readings[key] = [Reading(entry, found[entry.measure]) for entry in each.entries]
    return MeasuredTriggers(readings, problems)


def measured_days(
    config: Config, asked: Sequence[Asked]
) -> Iterator[tuple[Asked, Mapping[Measure, float | None] | Exception]]:
    """What Evidently says of each domain's day, or the error that this ended in; the lake is read
    once for all.

    Raises:
        ConfigError: when the lake has no column that a trigger names.
        LakeError: when the lake lacks a day.
    """
    lake = Lake.of(config)
    entries = {entry.measure: entry for each in asked for entry in each.entries}
    columns = lake_columns(config, lake, [*entries.values()])
    read = [*dict.fromkeys(column for named in columns.values() for column in named.values())]
    metrics = {
        entry.measure: own_metric(config, entry.metric)
        for entry in entries.values()
        if entry.metric is not None
    }
    with drawn_rows(config, lake, [each.wanted for each in asked], read) as drawn:
        for each in asked:
            found: Mapping[Measure, float | None] | Exception
            try:
                found = _values(config, each, _Sources(columns, metrics, drawn))
            except Exception as error:
                found = error
            yield each, found


def _fault(window: DomainWindow, error: Exception) -> Problem:
    return fault(window.domain, "its triggers cannot be measured", error)


def _asked_of(config: Config, window: DomainWindow, counts: Mapping[str, int]) -> Asked | None:
    """The domain with what watches it; None where nothing does, or there is too little of it."""
    entries = [entry for entry in config.drift.measured if entry.watches(window.domain)]
    least = config.drift.min_rows
    enough = min(counts.get("rows", 0), counts.get("reference_rows", 0)) >= least
    whole = window.hours >= config.quality.min_hours
    if not entries or window.problem is not None or not enough or not whole:
        return None
    windows = compared(config, window, read_profiles(config, window))
    return Asked(windows, entries, window.day)


def _rows(profile: Profile) -> int:
    """All rows of the domain and day, not those of the window alone."""
    return int(max(profile.parts["rows"][0], profile.rows))


def _values(config: Config, asked: Asked, sources: "_Sources") -> dict[Measure, float | None]:
    sides = sources.drawn.sides(asked.windows.key, asked.windows.day)
    found: dict[Measure, float | None] = {}
    for measure in dict.fromkeys(entry.measure for entry in asked.entries):
        named = {name: sides[each] for name, each in sources.columns.get(measure, {}).items()}
        try:
            if measure in sources.metrics:
                found[measure] = metric_value(sources.metrics[measure], named)
                continue
            pair = named.get(measure.what) or _counted(config, asked, measure)
            found[measure] = None if pair is None else value_of(pair, measure.method)
        except Exception as error:
            raise DriftuneError(
                f"drift.triggers: {measure.what} by Evidently ({measure.method}): {note_of(error)}"
            ) from error
    return found


def _counted(config: Config, asked: Asked, measure: Measure) -> Sides | None:
    """Both sides of what the windows hold as counts: of a signal, or the champion's predictions."""
    most, windows = config.drift.sample_rows, asked.windows
    signal = SIGNALS[measure.what]
    if not isinstance(signal, CountedSignal):
        return None
    if measure.of == "column":
        assert measure.what == PREDICTION
        chances = 1 / (1 + np.exp(-logit_values()))
        return _of_counts(signal.pair(windows), chances, most)
    if isinstance(signal, NumericalSignal):
        return _of_counts(signal.pair(windows), signal.values(), most)
    assert isinstance(signal, CategoricalSignal)
    now, then = (signal.adjusted(windows, counts) for counts in signal.pair(windows))
    labels = signal.labels(windows, category_names(config, asked.windows_day))
    return _of_counts((now, then), np.array(labels, dtype=object), most)


def _of_counts(pair: tuple[np.ndarray, np.ndarray], values: np.ndarray, most: int) -> Sides | None:
    """Both sides with as many of each value as its cell counts; None where one is empty."""
    import pandas as pd

    if min(counts.sum() for counts in pair) <= 0:
        return None
    now, then = (pd.Series(np.repeat(values, whole_counts(counts, most))) for counts in pair)
    return Sides(now, then, is_number=values.dtype != object)
