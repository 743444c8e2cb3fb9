"""Distances between a domain's windows, measured by Evidently; its verdicts are not used.

High-cardinality columns are reduced to the most frequent values before they are compared, and
both windows have the same number of rows: distances depend on both.
"""

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from driftune.config import Config
from driftune.files import finite, replacing

# Signal → Evidently method. Jensen–Shannon distance (natural logarithm, square root) for
# categories, Wasserstein distance in standard deviations of the reference for numbers.
METHODS = {
    "category_shown": "jensenshannon",
    "category_clicked": "jensenshannon",
    "hour": "jensenshannon",
    "price": "wasserstein",
    "click": "jensenshannon",
    "prediction": "wasserstein",
}
_REST = "(other)"
_NULL = "(none)"


@dataclass(frozen=True)
class Comparison:
    """``record``: distances per signal, category shares, window sizes, Evidently's figures."""

    record: dict[str, Any]
    snapshot: Any

    def write_page(self, page: Path) -> None:
        """Write Evidently's HTML (about 4 MB)."""
        with replacing(page) as part:
            self.snapshot.save_html(str(part))


def compare(config: Config, current: Any, reference: Any, newest: Any | None = None) -> Comparison:
    """Compare two windows (pandas frames as ``read_window`` gives them) by Evidently.

    Predictions are compared with those of ``newest`` where it has enough rows. A signal without
    values in both windows is left out; in one of them, its distance is None.
    """
    rows = min(len(current), len(reference), config.drift.sample_rows)
    clicks = min(_clicks(current), _clicks(reference), config.drift.sample_rows)
    top = _top_categories(current, reference, config.drift.top_categories)
    now = _frame(current, rows, clicks, top)
    then = _frame(reference, rows, clicks, top)
    same = 0 if newest is None else int((newest["place"] <= rows).sum())
    if newest is not None and same >= min(rows, config.drift.min_rows):
        now["prediction"] = _predictions(current, same, len(now))
        then["prediction"] = _predictions(newest, same, len(then))
    sides = {name: (now[name].notna().any(), then[name].notna().any()) for name in METHODS}
    signals = [name for name, given in sides.items() if all(given)]
    snapshot = _run(config, now[signals], then[signals], signals)
    figures = snapshot.dict()["metrics"]
    record = {
        # A signal that only one window has cannot be measured, which is not the same as stable.
        "distances": dict.fromkeys(name for name, given in sides.items() if any(given))
        | {
            metric["config"]["column"]: finite(float(metric["value"]))
            for metric in figures
            if "column" in metric.get("config", {})
        },
        "window_rows": rows,
        "window_clicks": clicks,
        "shares": {
            "shown": _shares(now["category_shown"], then["category_shown"]),
            "clicked": _shares(now["category_clicked"], then["category_clicked"]),
        },
        "evidently": finite(json.loads(json.dumps(figures, default=str))),
    }
    return Comparison(record, snapshot)


def _run(config: Config, now: Any, then: Any, signals: list[str]) -> Any:
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    definition = DataDefinition(
        categorical_columns=[name for name in signals if METHODS[name] == "jensenshannon"],
        numerical_columns=[name for name in signals if METHODS[name] == "wasserstein"],
    )
    thresholds = config.drift.thresholds.model_dump()
    report = Report(
        [
            ValueDrift(column=name, method=METHODS[name], threshold=thresholds[name])
            for name in signals
        ]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return report.run(
            Dataset.from_pandas(now, definition), Dataset.from_pandas(then, definition)
        )


def _clicks(frame: Any) -> int:
    return int((frame["click"] == 1).sum())


def _top_categories(current: Any, reference: Any, limit: int) -> set[str]:
    import pandas as pd

    shown = pd.concat([current["category"], reference["category"]]).fillna(_NULL)
    counts = shown.value_counts().sort_index().sort_values(ascending=False, kind="stable")
    return set(counts.head(limit).index)


def _frame(window: Any, rows: int, clicks: int, top: set[str]) -> Any:
    """One column per signal; clicked categories are a sample of their own, padded with nulls."""
    import pandas as pd

    category = window["category"].fillna(_NULL)
    category = category.where(category.isin(top), _REST)
    sample = window["place"] <= rows
    clicked = (window["click"] == 1) & (window["nth"] <= clicks)
    length = max(rows, clicks)
    return pd.DataFrame(
        {
            "category_shown": _padded(category[sample], length),
            "category_clicked": _padded(category[clicked], length),
            "hour": _padded(window.loc[sample, "hour"].astype(int).astype(str), length),
            "price": _padded(window.loc[sample, "price"].astype(float), length),
            "click": _padded(window.loc[sample, "click"].astype(int).astype(str), length),
            "prediction": _predictions(window, rows, length),
        }
    )


def _predictions(window: Any, rows: int, length: int) -> Any:
    return _padded(window.loc[window["place"] <= rows, "prediction"].astype(float), length)


def _padded(values: Any, length: int) -> Any:
    return values.reset_index(drop=True).reindex(range(length))


def _shares(now: Any, then: Any) -> list[dict[str, Any]]:
    current = now.dropna().value_counts(normalize=True)
    reference = then.dropna().value_counts(normalize=True)
    names = sorted(set(current.index) | set(reference.index))
    return [
        {
            "category": str(name),
            "reference": round(float(reference.get(name, 0.0)), 6),
            "current": round(float(current.get(name, 0.0)), 6),
        }
        for name in names
    ]
