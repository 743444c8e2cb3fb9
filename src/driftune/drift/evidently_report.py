"""Evidently's own report of a domain's windows; its verdicts are not used.

The windows are counts; Evidently gets frames whose columns have these counts.
"""

import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from driftune.drift.compare import Windows
from driftune.drift.distances import whole_pairs
from driftune.drift.signals import (
    CategoricalSignal,
    CountedSignal,
    NumericalSignal,
    counted_signals,
)
from driftune.visible import plotly_text

if TYPE_CHECKING:
    import pandas as pd
    from evidently import DataDefinition
    from evidently.core.report import Snapshot


def compare(
    windows: Windows, names: Mapping[int, str], rows: int, at: datetime | None = None
) -> "Snapshot":
    """Evidently's report of the same comparison, plots included: a snapshot.

    Names of categories in it are text for its plots: no markup, shortened.

    ``at``: the time that it bears.
    """
    shown = {cell: plotly_text(name) for cell, name in names.items()}
    return _run(*frames(windows, shown, rows), at)


def frames(
    windows: Windows, names: Mapping[int, str], rows: int
) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """The day and its reference as pandas frames with a column per counted signal."""
    import pandas as pd

    signals = counted_signals(windows.lacking)
    sides = whole_pairs(windows, rows)
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
