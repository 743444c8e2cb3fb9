"""Distances are those of Evidently's public report, and do not depend on who is measured beside."""

import subprocess
import sys
import warnings
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftune.drift.cells import logit_values, price_values
from driftune.drift.distances import distances
from driftune.drift.evidently_report import compare
from driftune.drift.readings import Reading
from driftune.drift.signals import SIGNALS, counted_signals
from driftune.drift.statistics import jensen_shannon, wasserstein
from tests.drift.windows import NAMES, profile, windows

pytestmark = pytest.mark.evidently

VALUES = {"prices": price_values(), "predictions": logit_values()}
# Counts over cells: of some rows or many, in one cell or all, alike or far apart.
SIDE = st.builds(
    lambda seed, rows, width: np.random.default_rng(seed).multinomial(
        rows, np.random.default_rng(seed + 1).dirichlet(np.full(width, 0.3))
    ),
    st.integers(0, 2**32),
    st.sampled_from([1, 3, 50, 700, 20_000]),
    st.integers(1, 40),
)
PAIRS = st.lists(st.tuples(SIDE, SIDE), min_size=1, max_size=8)


def reported(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]], values: np.ndarray | None
) -> list[float]:
    """Evidently's distances of counts: of rows with these values, or of categories."""
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    names = [f"column {number}" for number in range(len(pairs))]
    frames = []
    for side in (0, 1):
        rows = [np.repeat(np.arange(len(pair[side])), pair[side]) for pair in pairs]
        columns = [
            pd.Series(cells).astype(str) if values is None else pd.Series(values[cells])
            for cells in rows
        ]
        frames.append(pd.concat(columns, axis=1, keys=names))
    kinds = "categorical_columns" if values is None else "numerical_columns"
    definition = DataDefinition(**{kinds: names})
    method = "jensenshannon" if values is None else "wasserstein"
    report = Report([ValueDrift(column=name, method=method, threshold=0.1) for name in names])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        now, then = (Dataset.from_pandas(frame, definition) for frame in frames)
        metrics = report.run(now, then).dict()["metrics"]
    found = {metric["config"]["column"]: float(metric["value"]) for metric in metrics}
    return [found[name] for name in names]


def assert_same(own: np.ndarray | float, evidently: float) -> None:
    """Equal to 1e-9; of samples that are all but alike the square is, to the last bits of 1."""
    assert own**2 == pytest.approx(evidently**2, rel=1e-9, abs=1e-15)


def wide(pair: tuple[np.ndarray, np.ndarray], width: int, at: int = 0) -> list[np.ndarray]:
    """Both counts in as many cells, from the cell ``at`` on."""
    return [np.bincount(at + np.arange(len(side)), side, minlength=width) for side in pair]


@settings(max_examples=6)
@given(PAIRS)
@pytest.mark.slow
@pytest.mark.ci
def test_jensen_shannon_is_evidently_s(pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    left, right = (np.array(sides) for sides in zip(*(wide(p, 40) for p in pairs), strict=True))
    for own, evidently in zip(jensen_shannon(left, right), reported(pairs, None), strict=True):
        assert_same(own, evidently)


@pytest.mark.parametrize("name", VALUES)
@settings(max_examples=6)
@given(pairs=PAIRS, place=st.floats(0, 1))
def test_wasserstein_is_evidently_s(
    name: str, pairs: list[tuple[np.ndarray, np.ndarray]], place: float
) -> None:
    values = VALUES[name]
    at = int(place * (len(values) - 40))
    stacked = [wide(pair, len(values), at) for pair in pairs]
    left, right = (np.array(sides) for sides in zip(*stacked, strict=True))
    expected = reported(pairs, values[at : at + 40])
    for own, evidently in zip(wasserstein(left, right, values), expected, strict=True):
        assert_same(own, evidently)


def test_every_signal_s_method_is_one_of_these() -> None:
    methods = {signal.evidently for signal in SIGNALS.values()}
    assert methods == {"jensenshannon", "wasserstein", None}


@pytest.mark.parametrize("rows", [700, 1_000_000])
def test_every_signal_s_distance_is_that_of_evidently_s_report(rows: int) -> None:
    rng = np.random.default_rng(5)
    moved = profile(rng, rows=1500, rates=(0.2, 0.4, 0.2, 0.1), mix=(1, 2, 3, 4))
    many = [windows(rng, moved, rows=1500, days=5), windows(rng, rows=900, days=3, key="other")]
    for held, found in zip(many, distances(many, rows), strict=True):
        assert sorted(found) == sorted(counted_signals())
        for metric in compare(held, NAMES, rows).dict()["metrics"]:
            own = found[metric["config"]["column"]]
            assert own is not None
            assert_same(own, float(metric["value"]))


def figures(reading: Reading | None) -> list[object]:
    """All figures of a reading, to the last bit."""
    assert reading is not None
    pairs = (reading.today, reading.matched, reading.plain)
    found = [part.tolist() for each in pairs for part in (each.square, each.noise, each.spread)]
    return [*found, reading.freedom, reading.is_matched, reading.worse]


def test_a_domain_s_figures_are_the_same_bits_alone_and_among_others() -> None:
    rng = np.random.default_rng(9)
    many = [windows(rng, rows=600 + 10 * n, days=5 + n % 3, key=f"d{n}") for n in range(40, 56)]
    for signal in SIGNALS.values():
        for alone, among in zip(map(signal.reading, many), signal.readings(many), strict=True):
            assert figures(alone) == figures(among), signal.name
    assert [distances([each], 800)[0] for each in many] == distances(many, 800)


@pytest.mark.slow
@pytest.mark.ci
def test_measuring_does_not_load_evidently() -> None:
    code = (
        "import sys, numpy as np\n"
        "import driftune.drift.measure\n"
        "from driftune.drift.distances import distances\n"
        "from driftune.drift.signals import SIGNALS\n"
        "from tests.drift.windows import windows\n"
        "held = [windows(np.random.default_rng(1), rows=600, days=3)]\n"
        "assert distances(held, 500)[0] and all(s.readings(held) for s in SIGNALS.values())\n"
        "print(sorted({'evidently', 'pandas', 'plotly'} & sys.modules.keys()))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert ran.stdout.strip() == "[]"
