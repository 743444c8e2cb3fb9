"""Distances between the windows of many domains: Evidently's figures, without Evidently.

``statistics`` has the same formulas over arrays; ``tests/drift/test_same_as_evidently.py`` holds
them to Evidently's results.
"""

from collections.abc import Sequence

import numpy as np

from driftune.drift.compare import Windows
from driftune.drift.signals import counted_signals
from driftune.io import finite


def distances(many: Sequence[Windows], rows: int) -> list[dict[str, float | None]]:
    """Distances of each domain's day from its reference, of counted signals.

    A side of more than ``rows`` rows is reduced to so many in the same proportions. A signal
    without rows on one side is left out.
    """
    pairs = [whole_pairs(windows, rows) for windows in many]
    found: list[dict[str, float | None]] = [{} for _ in many]
    for name, signal in counted_signals().items():
        there = [place for place, own in enumerate(pairs) if name in own]
        measured = signal.spreads([pairs[place][name] for place in there])
        for place, distance in zip(there, measured.tolist(), strict=True):
            found[place][name] = finite(distance)
    return found


def whole_pairs(windows: Windows, rows: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The counts (cells,) of the day and of its reference as rows, by counted signal.

    See ``distances``.
    """
    found = {}
    for name, signal in counted_signals(windows.lacking).items():
        now, then = (signal.adjusted(windows, counts) for counts in signal.pair(windows))
        if min(now.sum(), then.sum()) > 0:
            found[name] = whole_counts(now, rows), whole_counts(then, rows)
    return found


def whole_counts(counts: np.ndarray, most: int) -> np.ndarray:
    """Counts as whole numbers with their total, ``most`` at most, by largest remainders."""
    total = counts.sum()
    if total <= most and not np.mod(counts, 1).any():
        return counts.astype(np.int64)
    size = min(round(float(total)), most)
    exact = counts * (size / total)
    found = np.floor(exact + 1e-9)
    rest = size - int(found.sum())
    found[np.argsort(found - exact, kind="stable")[:rest]] += 1
    return np.asarray(found, dtype=np.int64)
