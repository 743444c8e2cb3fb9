"""Values of Evidently's drift methods, by its public interface; its own verdicts are not used."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from driftune.config.triggers import METHODS
from driftune.drift.triggers.rows import Sides
from driftune.io import finite

if TYPE_CHECKING:
    import pandas as pd
    from evidently import Dataset

_COLUMN = "value"


def value_of(sides: Sides, method: str) -> float | None:
    """What a method of Evidently says of a column's two sides; None where one has no values.

    Raises:
        Exception: what Evidently refuses such values with.
    """
    from evidently import Report
    from evidently.metrics import ValueDrift

    most = METHODS[method].rows
    now, then = (side.dropna()[:most] for side in (sides.now, sides.then))
    if now.empty or then.empty:
        return None
    # Its own verdict wants a threshold, and is not used.
    report = Report([ValueDrift(column=_COLUMN, method=method, threshold=0.1)])
    with _undisturbed():
        found = report.run(*(_dataset(side, sides.is_number) for side in (now, then))).dict()
    return finite(float(found["metrics"][0]["value"]))


def _dataset(values: "pd.Series[float] | pd.Series[str]", is_number: bool) -> "Dataset":
    from evidently import DataDefinition, Dataset

    kind = {"numerical_columns" if is_number else "categorical_columns": [_COLUMN]}
    return Dataset.from_pandas(values.to_frame(_COLUMN), DataDefinition(**kind))


@contextmanager
def _undisturbed() -> Iterator[None]:
    """The same random numbers on each call, and whoever else draws some gets those of his own:
    permutation tests of Evidently draw from NumPy's global generator.
    """
    before = np.random.get_state()
    np.random.seed(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        np.random.set_state(before)
