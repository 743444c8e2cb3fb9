"""What moved, as figures from the reference to the day, and in words."""

from collections.abc import Mapping

from driftune.drift.compare import Windows
from driftune.drift.signals import SIGNALS, Facts, signals_of


def facts(windows: Windows, names: Mapping[int, str]) -> dict[str, Facts]:
    """Per signal what it was in the reference and on the day; ``names``: of category cells."""
    found = signals_of(windows.lacking)
    told = {name: signal.facts(windows, names) for name, signal in found.items()}
    return {name: figures for name, figures in told.items() if figures is not None}


def say(signal: str, told: Mapping[str, Facts]) -> str:
    """A moved signal in words, by the facts of all."""
    return SIGNALS[signal].say(told.get(signal) or {})
