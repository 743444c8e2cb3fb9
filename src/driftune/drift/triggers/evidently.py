"""Values of Evidently's drift methods, by its public interface; its own verdicts are not used."""

import importlib
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from driftune.config import Config
from driftune.config.triggers import METHODS
from driftune.drift.triggers.rows import Sides
from driftune.errors import ConfigError, DriftuneError, note_of
from driftune.io import finite
from driftune.models.imports import IMPORTING

if TYPE_CHECKING:
    from evidently.core.metric_types import Metric

_COLUMN = "value"


def value_of(sides: Sides, method: str) -> float | None:
    """What a method of Evidently says of a column's two sides; None where one has no values.

    Raises:
        Exception: what Evidently refuses such values with.
    """
    from evidently.metrics import ValueDrift

    most = METHODS[method].rows
    now, then = (side.dropna()[:most] for side in (sides.now, sides.then))
    if now.empty or then.empty:
        return None
    # Its own verdict wants a threshold, and is not used.
    metric = ValueDrift(column=_COLUMN, method=method, threshold=0.1)
    return metric_value(metric, {_COLUMN: Sides(now, then, sides.is_number)})


def metric_value(metric: "Metric", sides: Mapping[str, Sides]) -> float | None:
    """The value of a metric of both sides' columns, by name; None where it is no finite number.

    Raises:
        DriftuneError: when it gives something else than a single number.
        Exception: what it fails with.
    """
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report

    numbers = [name for name, each in sides.items() if each.is_number]
    others = [name for name in sides if name not in numbers]
    with _undisturbed():
        datasets = [
            Dataset.from_pandas(
                pd.DataFrame({name: getattr(each, side) for name, each in sides.items()}),
                DataDefinition(numerical_columns=numbers, categorical_columns=others),
            )
            for side in ("now", "then")
        ]
        found = Report([metric]).run(*datasets).dict()["metrics"][0]["value"]
    if isinstance(found, bool) or not isinstance(found, int | float | np.number):
        raise DriftuneError(f"it gives {type(found).__name__}, not a single number")
    return finite(float(found))


def own_metric(config: Config, name: str) -> "Metric":
    """A metric of one's own, ``package.module:CLASS_OR_FACTORY``, made without arguments.

    Raises:
        ConfigError: when it cannot be imported or made, or is none of Evidently's metrics.
    """
    from evidently.core.metric_types import Metric

    module, _, factory = name.partition(":")
    where = f"{config.source_file}: drift.triggers: metric = {name!r}"
    with IMPORTING:
        sys.path.insert(0, str(config.root))
        try:
            importlib.invalidate_caches()
            found = getattr(importlib.import_module(module), factory)()
        except Exception as error:
            raise ConfigError(
                f"{where}: cannot be made ({note_of(error)}); it is looked for in {config.root} "
                "and among the packages that are installed"
            ) from None
        finally:
            sys.path.remove(str(config.root))
    if not isinstance(found, Metric):
        raise ConfigError(f"{where}: gives {type(found).__name__}, none of Evidently's metrics")
    return found


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
