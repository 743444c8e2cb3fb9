"""Measure: what Evidently says of each domain's day, for all configured triggers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from driftune.config import Config
from driftune.config.triggers import Measure, Trigger
from driftune.drift.cells import logit_values
from driftune.drift.compare import Windows
from driftune.drift.distances import frames, whole_counts
from driftune.drift.measure import Measured
from driftune.drift.problem import Problem, fault
from driftune.drift.profiles import Profile
from driftune.drift.signals import SIGNALS, CountedSignal, NumericalSignal
from driftune.drift.triggers.columns import PREDICTION, LakeColumn, lake_columns
from driftune.drift.triggers.evidently import value_of
from driftune.drift.triggers.judge import Reading, Readings
from driftune.drift.triggers.rows import Compared, Drawn, Sides, drawn_rows
from driftune.drift.windows import DomainWindow, category_names, compared, read_profiles
from driftune.errors import DriftuneError, note_of
from driftune.lake.table import Lake


@dataclass(frozen=True)
class MeasuredTriggers:
    """What was measured by domain key; ``problems``: of domains where that failed."""

    readings: Readings = field(default_factory=dict)
    problems: Mapping[str, Problem] = field(default_factory=dict)


@dataclass(frozen=True)
class _Asked:
    """A domain that is measured: its window, what it holds, and the triggers that watch it."""

    window: DomainWindow
    windows: Windows
    entries: Sequence[Trigger]

    @property
    def wanted(self) -> Compared:
        days = self.windows.comparable_days(settled=False)
        then = sum(_rows(self.windows.reference[day]) for day in days)
        return Compared(self.window.key, self.window.day, days, (_rows(self.windows.current), then))


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
    asked: list[_Asked] = []
    for window in windows:
        try:
            domain = _asked_of(config, window, counts.get(window.key, {}))
        except Exception as error:
            problems[window.key] = _fault(window, error)
            continue
        if domain is not None:
            asked.append(domain)
    lake = Lake.of(config)
    columns = lake_columns(config, lake)
    readings: dict[str, Sequence[Reading]] = {}
    with drawn_rows(
        config, lake, [each.wanted for each in asked], [*dict.fromkeys(columns.values())]
    ) as drawn:
        for each in asked:
            try:
                values = _values(config, each, columns, drawn)
                found = [Reading(entry, values[entry.measure]) for entry in each.entries]
                readings[each.window.key] = found
            except Exception as error:
                problems[each.window.key] = _fault(each.window, error)
    return MeasuredTriggers(readings, problems)


def _fault(window: DomainWindow, error: Exception) -> Problem:
    return fault(window.domain, "its triggers cannot be measured", error)


def _asked_of(config: Config, window: DomainWindow, counts: Mapping[str, int]) -> _Asked | None:
    """The domain with what watches it; None where nothing does, or there is too little of it."""
    entries = [entry for entry in config.drift.measured if entry.watches(window.domain)]
    least = config.drift.min_rows
    enough = min(counts.get("rows", 0), counts.get("reference_rows", 0)) >= least
    whole = window.hours >= config.quality.min_hours
    if not entries or window.problem is not None or not enough or not whole:
        return None
    return _Asked(window, compared(config, window, read_profiles(config, window)), entries)


def _rows(profile: Profile) -> int:
    """All rows of the domain and day, not those of the window alone."""
    return int(max(profile.parts["rows"][0], profile.rows))


def _values(
    config: Config, asked: _Asked, columns: Mapping[Measure, LakeColumn], drawn: Drawn
) -> dict[Measure, float | None]:
    measures = dict.fromkeys(entry.measure for entry in asked.entries)
    sides = drawn.sides(asked.window.key, asked.window.day)
    found: dict[Measure, float | None] = {}
    for measure in measures:
        if measure in columns:
            pair: Sides | None = sides[columns[measure]]
        else:
            pair = _counted(config, asked, measure)
        try:
            found[measure] = None if pair is None else value_of(pair, measure.method)
        except Exception as error:
            raise DriftuneError(
                f"drift.triggers: Evidently's {measure.method} of {measure.what}: {note_of(error)}"
            ) from error
    return found


def _counted(config: Config, asked: _Asked, measure: Measure) -> Sides | None:
    """Both sides of what the windows hold as counts: of a signal, or the champion's predictions."""
    most, windows = config.drift.sample_rows, asked.windows
    signal = SIGNALS[measure.what]
    if not isinstance(signal, CountedSignal):
        return None
    if measure.of == "column":
        assert measure.what == PREDICTION
        chances = 1 / (1 + np.exp(-logit_values()))
        return _of_counts(signal.pair(windows), chances, most)
    names = category_names(config, asked.window.day)
    now, then = frames(windows, names, most)
    if measure.what not in now.columns:
        return None
    is_number = isinstance(signal, NumericalSignal)
    found = [side[measure.what].dropna().reset_index(drop=True) for side in (now, then)]
    if not is_number:
        found = [each.astype(str) for each in found]
    return Sides(found[0], found[1], is_number)


def _of_counts(pair: tuple[np.ndarray, np.ndarray], values: np.ndarray, most: int) -> Sides | None:
    import pandas as pd

    if min(counts.sum() for counts in pair) <= 0:
        return None
    sides = [pd.Series(np.repeat(values, whole_counts(counts, most))) for counts in pair]
    return Sides(sides[0], sides[1], is_number=True)
