"""Distances between a domain's windows, measured by Evidently; its verdicts are not used.

The windows are counts; Evidently gets frames whose columns have these counts.
"""

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from driftune.drift.compare import Windows, cell_values
from driftune.drift.signals import SIGNALS
from driftune.files import finite, replacing


@dataclass(frozen=True)
class Comparison:
    """``distances`` by signal, Evidently's own ``figures``, and its snapshot."""

    distances: dict[str, float | None]
    figures: Any
    snapshot: Any

    def write_page(self, page: Path) -> None:
        """Write Evidently's HTML (about 4 MB)."""
        with replacing(page) as part:
            self.snapshot.save_html(str(part))


def compare(windows: Windows, names: Mapping[int, str], rows: int) -> Comparison:
    """Compare a domain's day with its reference by Evidently, every counted signal.

    ``names`` are those of the category cells. A reference of several days is reduced to ``rows``
    rows in the same proportions. A signal without rows on one side is left out.
    """
    sides: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for signal, about in SIGNALS.items():
        if about.counted:
            pair = tuple(windows.adjusted(signal, counts) for counts in windows.pair(signal))
            if min(counts.sum() for counts in pair) > 0:
                now, then = (whole_counts(counts, rows) for counts in pair)
                sides[signal] = (now, then)
    snapshot = _run(windows, names, sides)
    figures = json.loads(json.dumps(snapshot.dict()["metrics"], default=str))
    distances = {
        metric["config"]["column"]: finite(float(metric["value"]))
        for metric in figures
        if "column" in metric.get("config", {})
    }
    return Comparison(distances, finite(figures), snapshot)


def whole_counts(counts: np.ndarray, most: int) -> np.ndarray:
    """Counts as whole numbers with their total, ``most`` at most, by largest remainders."""
    total = counts.sum()
    size = min(round(float(total)), most)
    exact = counts * (size / total)
    found = np.floor(exact + 1e-9)
    rest = size - int(found.sum())
    found[np.argsort(found - exact, kind="stable")[:rest]] += 1
    return found.astype(np.int64)


def _run(
    windows: Windows,
    names: Mapping[int, str],
    sides: Mapping[str, tuple[np.ndarray, np.ndarray]],
) -> Any:
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    definition = DataDefinition(
        categorical_columns=[name for name in sides if SIGNALS[name].method == "jensenshannon"],
        numerical_columns=[name for name in sides if SIGNALS[name].method == "wasserstein"],
    )
    datasets = []
    for side in (0, 1):
        length = max((int(pair[side].sum()) for pair in sides.values()), default=0)
        columns = {
            name: _column(windows, names, name, pair[side], length) for name, pair in sides.items()
        }
        datasets.append(Dataset.from_pandas(pd.DataFrame(columns), definition))
    # Evidently wants a threshold for its own verdict, which is not used.
    report = Report(
        [ValueDrift(column=name, method=SIGNALS[name].method, threshold=0.1) for name in sides]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return report.run(*datasets)


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
