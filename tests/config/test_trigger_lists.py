"""What the configuration lists of Evidently's methods and of signals is what there is."""

import pytest

from driftune.config.triggers import COUNTED, METHODS
from driftune.drift.signals import CategoricalSignal, counted_signals


def test_every_counted_signal_can_be_a_trigger() -> None:
    assert dict(COUNTED) == {
        name: "categorical" if isinstance(signal, CategoricalSignal) else "numerical"
        for name, signal in counted_signals().items()
    }


@pytest.mark.slow
@pytest.mark.ci
def test_every_method_of_evidently_for_numbers_and_categories_is_listed() -> None:
    # Only this test looks where Evidently keeps its methods: the public interface lists none.
    from evidently.legacy.calculations.stattests import registry
    from evidently.legacy.core import ColumnType

    kinds = {ColumnType.Numerical: "numerical", ColumnType.Categorical: "categorical"}
    there = {
        name: {kinds[each] for each in tests if each in kinds}
        for name, tests in registry._registered_stat_tests.items()
    }
    assert {name: fits for name, fits in there.items() if fits} == {
        name: set(method.kinds) for name, method in METHODS.items()
    }
