"""Distances between a domain's windows, measured by Evidently; its verdicts are not used.

The windows are counts; Evidently gets frames whose columns have these counts.
"""

import warnings
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import numpy as np

from driftune.drift.compare import Windows, cell_values
from driftune.drift.signals import SIGNALS
from driftune.io import finite


def distances(windows: Windows, names: Mapping[int, str], rows: int) -> dict[str, float | None]:
    """Distances of a domain's day from its reference by Evidently's tests, of counted signals.

    ``names`` are those of the category cells. A reference of several days is reduced to ``rows``
    rows in the same proportions. A signal without rows on one side is left out.
    """
    from evidently.legacy.calculations.stattests import get_stattest
    from evidently.legacy.core import ColumnType

    now, then = frames(windows, names, rows)
    found = {}
    for name in now.columns:
        method = SIGNALS[name].method
        kind = ColumnType.Categorical if method == "jensenshannon" else ColumnType.Numerical
        before, after = then[name].dropna(), now[name].dropna()
        # Evidently wants a threshold for its own verdict, which is not used.
        result = get_stattest(before, after, kind, method)(before, after, kind, 0.1)
        found[name] = finite(float(result.drift_score))
    return found


def compare(
    windows: Windows, names: Mapping[int, str], rows: int, at: datetime | None = None
) -> Any:
    """Evidently's report of the same comparison, plots included: a snapshot.

    ``at``: the time that it bears.
    """
    return _run(*frames(windows, names, rows), at)


def whole_counts(counts: np.ndarray, most: int) -> np.ndarray:
    """Counts as whole numbers with their total, ``most`` at most, by largest remainders."""
    total = counts.sum()
    size = min(round(float(total)), most)
    exact = counts * (size / total)
    found = np.floor(exact + 1e-9)
    rest = size - int(found.sum())
    found[np.argsort(found - exact, kind="stable")[:rest]] += 1
    return found.astype(np.int64)


def frames(windows: Windows, names: Mapping[int, str], rows: int) -> tuple[Any, Any]:
    """The day and its reference as pandas frames with a column per counted signal."""
    import pandas as pd

    sides: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for signal, about in SIGNALS.items():
        if about.counted:
            pair = tuple(windows.adjusted(signal, counts) for counts in windows.pair(signal))
            if min(counts.sum() for counts in pair) > 0:
                now, then = (whole_counts(counts, rows) for counts in pair)
                sides[signal] = (now, then)
    found = []
    for side in (0, 1):
        length = max((int(pair[side].sum()) for pair in sides.values()), default=0)
        columns = {
            name: _column(windows, names, name, pair[side], length) for name, pair in sides.items()
        }
        found.append(pd.DataFrame(columns))
    return found[0], found[1]


def definition(signals: Iterable[str]) -> Any:
    """Evidently's definition of a frame with these signals."""
    from evidently import DataDefinition

    kinds = {name: SIGNALS[name].method for name in signals}
    return DataDefinition(
        categorical_columns=[name for name, method in kinds.items() if method == "jensenshannon"],
        numerical_columns=[name for name, method in kinds.items() if method == "wasserstein"],
    )


def _run(now: Any, then: Any, at: datetime | None) -> Any:
    from evidently import Dataset, Report
    from evidently.metrics import ValueDrift

    columns = definition(now.columns)
    report = Report(
        [
            ValueDrift(column=name, method=SIGNALS[name].method, threshold=0.1)
            for name in now.columns
        ]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sides = [Dataset.from_pandas(side, columns) for side in (now, then)]
        return report.run(*sides, timestamp=at)


def _column(
    windows: Windows, names: Mapping[int, str], signal: str, counts: np.ndarray, length: int
) -> Any:
    """A column with these counts, padded with nulls."""
    import pandas as pd

    cells = np.repeat(np.arange(len(counts)), counts)
    missing = length - len(cells)
    if SIGNALS[signal].method == "wasserstein":
        return np.concatenate([cell_values(signal)[cells], np.full(missing, np.nan)])
    codes = np.concatenate([cells, np.full(missing, -1)])
    labels = cell_labels(windows, names, signal, len(counts))
    return pd.Categorical.from_codes(codes, labels)


def cell_labels(windows: Windows, names: Mapping[int, str], signal: str, cells: int) -> list[str]:
    """What the cells of a categorical signal stand for, no two alike."""
    if signal == "hour":
        return [f"{hour:02d}" for hour in range(24)]
    if signal == "novelty":
        return ["known item", "new item"]
    if signal == "click_rate":
        return ["not clicked", "clicked"]
    if signal == "taste":
        return [f"kind {number + 1}" for number in range(cells)]
    groups = windows.group_names(names)
    if signal == "category_rate":
        return [f"{name}: {label}" for name in groups for label in ("not clicked", "clicked")]
    return groups
