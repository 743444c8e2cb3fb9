"""Distances between a domain's windows, measured by Evidently; its verdicts are not used.

The windows are counts; Evidently gets frames whose columns have these counts.
"""

import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from driftune.drift.compare import Windows
from driftune.drift.signals import (
    CategoricalSignal,
    CountedSignal,
    NumericalSignal,
    counted_signals,
)
from driftune.io import finite
from driftune.visible import plotly_text

if TYPE_CHECKING:
    import pandas as pd
    from evidently import DataDefinition
    from evidently.core.report import Snapshot


def distances(windows: Windows, names: Mapping[int, str], rows: int) -> dict[str, float | None]:
    """Distances of a domain's day from its reference by Evidently's tests, of counted signals.

    ``names`` are those of the category cells. A reference of several days is reduced to ``rows``
    rows in the same proportions. A signal without rows on one side is left out.
    """
    from evidently.legacy.calculations.stattests import get_stattest
    from evidently.legacy.core import ColumnType

    now, then = frames(windows, names, rows)
    found = {}
    signals = counted_signals()
    for name in now.columns:
        method, categorical = signals[name].evidently, _is_categorical(signals[name])
        kind = ColumnType.Categorical if categorical else ColumnType.Numerical
        before, after = then[name].dropna(), now[name].dropna()
        # Evidently wants a threshold for its own verdict, which is not used.
        result = get_stattest(before, after, kind, method)(before, after, kind, 0.1)
        found[name] = finite(float(result.drift_score))
    return found


def compare(
    windows: Windows, names: Mapping[int, str], rows: int, at: datetime | None = None
) -> "Snapshot":
    """Evidently's report of the same comparison, plots included: a snapshot.

    Names of categories in it are text for its plots: no markup, shortened.

    ``at``: the time that it bears.
    """
    shown = {cell: plotly_text(name) for cell, name in names.items()}
    return _run(*frames(windows, shown, rows), at)


def whole_counts(counts: np.ndarray, most: int) -> np.ndarray:
    """Counts as whole numbers with their total, ``most`` at most, by largest remainders."""
    total = counts.sum()
    size = min(round(float(total)), most)
    exact = counts * (size / total)
    found = np.floor(exact + 1e-9)
    rest = size - int(found.sum())
    found[np.argsort(found - exact, kind="stable")[:rest]] += 1
    return np.asarray(found, dtype=np.int64)


def frames(
    windows: Windows, names: Mapping[int, str], rows: int
) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """The day and its reference as pandas frames with a column per counted signal."""
    import pandas as pd

    sides: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    signals = counted_signals(windows.lacking)
    for name, signal in signals.items():
        pair = tuple(signal.adjusted(windows, counts) for counts in signal.pair(windows))
        if min(counts.sum() for counts in pair) > 0:
            now, then = (whole_counts(counts, rows) for counts in pair)
            sides[name] = (now, then)
    found = []
    for side in (0, 1):
        length = max((int(pair[side].sum()) for pair in sides.values()), default=0)
        columns = {
            name: _column(windows, names, signals[name], pair[side], length)
            for name, pair in sides.items()
        }
        found.append(pd.DataFrame(columns))
    return found[0], found[1]


def definition(signals: Sequence[str]) -> "DataDefinition":
    """Evidently's definition of a frame with these signals."""
    from evidently import DataDefinition

    known = counted_signals()
    categorical = [name for name in signals if _is_categorical(known[name])]
    numerical = [name for name in signals if name not in categorical]
    return DataDefinition(categorical_columns=categorical, numerical_columns=numerical)


def _is_categorical(signal: CountedSignal) -> bool:
    return signal.evidently == "jensenshannon"


def _run(now: "pd.DataFrame", then: "pd.DataFrame", at: datetime | None) -> "Snapshot":
    from evidently import Dataset, Report
    from evidently.metrics import ValueDrift

    columns, signals = definition([*now.columns]), counted_signals()
    report = Report(
        [
            ValueDrift(column=name, method=signals[name].evidently, threshold=0.1)
            for name in now.columns
        ]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sides = [Dataset.from_pandas(side, columns) for side in (now, then)]
        return report.run(*sides, timestamp=at)


def _column(
    windows: Windows,
    names: Mapping[int, str],
    signal: CountedSignal,
    counts: np.ndarray,
    length: int,
) -> "np.ndarray | pd.Categorical":
    """A column with these counts, padded with nulls."""
    import pandas as pd

    cells = np.repeat(np.arange(len(counts)), counts)
    missing = length - len(cells)
    if isinstance(signal, NumericalSignal):
        return np.concatenate([signal.values()[cells], np.full(missing, np.nan)])
    assert isinstance(signal, CategoricalSignal)
    codes = np.concatenate([cells, np.full(missing, -1)])
    return pd.Categorical.from_codes(codes, signal.labels(windows, names))
