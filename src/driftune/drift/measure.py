"""Measure: one domain's day against its reference, every signal."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from driftune.config import Config
from driftune.drift.compare import Windows
from driftune.drift.distances import distances
from driftune.drift.readings import Pairs, Reading
from driftune.drift.signals import SIGNALS, Facts
from driftune.drift.windows import DomainWindow, category_names, read_windows
from driftune.drift.words import facts


@dataclass(frozen=True)
class Measured:
    """What was measured of a domain; ``problem`` says why nothing could be.

    ``matched``: what was clicked is compared with days of its weekday alone; ``told``: the
    ``facts`` of the signals.
    """

    key: str
    counts: Mapping[str, int]
    problem: str | None = None
    matched: bool = False
    readings: Mapping[str, Reading | None] = field(default_factory=dict)
    distances: Mapping[str, float | None] = field(default_factory=dict)
    told: Mapping[str, Facts] = field(default_factory=dict)


def measure_domain(config: Config, window: DomainWindow) -> Measured:
    """Measure one domain's signals, the distances of counted ones by Evidently."""
    if window.refused is not None:
        counts = {"hours": window.hours, "reference_days": 0, "rows": 0, "clicks": 0}
        return Measured(window.key, counts, f"Refused by data quality: {window.refused}.")
    windows = read_windows(config, window)
    counts = _counts(window, windows)
    problem = _problem(config, counts)
    if problem is not None or windows is None:
        return Measured(window.key, counts, problem or "No windows.")
    names = category_names(config, window.day)
    found = distances(windows, names, config.drift.sample_rows)
    readings = {name: signal.reading(windows) for name, signal in SIGNALS.items()}
    return Measured(
        key=window.key,
        counts=counts,
        matched=windows.is_matched(),
        readings={
            signal: _measured(reading, found.get(signal)) for signal, reading in readings.items()
        },
        distances=found,
        told=facts(windows, names),
    )


def _measured(reading: Reading | None, distance: float | None) -> Reading | None:
    """The reading with the distance that Evidently measured."""
    if reading is None or distance is None or not len(reading.today):
        return reading
    square = np.array([distance**2])
    return replace(reading, today=Pairs(square, reading.today.noise, reading.today.spread))


def _counts(window: DomainWindow, windows: Windows | None) -> dict[str, int]:
    counts = {"hours": window.hours, "reference_days": 0, "rows": 0, "clicks": 0}
    if windows is not None:
        held = list(windows.reference.values())
        counts |= {
            "rows": windows.current.rows,
            "clicks": windows.current.clicks,
            "reference_days": len(held),
            "reference_rows": sum(profile.rows for profile in held),
            "reference_clicks": sum(profile.clicks for profile in held),
        }
    return counts


def _problem(config: Config, counts: Mapping[str, int]) -> str | None:
    """Why a domain cannot be measured; a partial day has other hours, and with them interests."""
    limits = config.drift
    if counts["hours"] < config.quality.min_hours:
        text = f"the day has impressions in {counts['hours']} hours"
        return f"A partial day: {text}, {config.quality.min_hours} needed."
    for name, label, needed in (
        ("rows", "impressions", limits.min_rows),
        ("clicks", "clicks", limits.min_clicks),
        ("reference_rows", "impressions on the reference days", limits.min_rows),
        ("reference_clicks", "clicks on the reference days", limits.min_clicks),
    ):
        if counts.get(name, 0) < needed:
            return f"Too little data: {counts.get(name, 0):,} {label}, {needed:,} needed."
    return None
