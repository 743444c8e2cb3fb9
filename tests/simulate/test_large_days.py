"""Days too large for one piece: drawn and written in slices of their hours."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from driftune.simulate import SimulationConfig
from driftune.simulate.days import Simulator
from driftune.simulate.settings import domain_name
from driftune.simulate.write import simulate

DAY = date(2026, 3, 3)
CONFIG = SimulationConfig(
    start=date(2026, 3, 2),
    days=3,
    rows_per_domain=4000,
    users=800,
    periods={"daytime": (6, 16), "evening": (16, 24)},
)


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    return Simulator.build(CONFIG)


@pytest.fixture(scope="module")
def sliced(simulator: Simulator) -> list[tuple[pa.Table, pa.Table]]:
    return list(replace(simulator, slice_rows=6000).slices(DAY))


def test_slices_are_about_as_large_as_asked(sliced: list[tuple[pa.Table, pa.Table]]) -> None:
    assert len(sliced) >= 5
    assert all(table.num_rows == truth.num_rows for table, truth in sliced)
    assert max(table.num_rows for table, _ in sliced) < 6000 * 1.15


def test_requests_and_times_go_on_from_slice_to_slice(
    sliced: list[tuple[pa.Table, pa.Table]],
) -> None:
    table = pa.concat_tables([table for table, _ in sliced]).to_pandas()
    assert table["event_time"].is_monotonic_increasing
    requests = table["request_id"].astype(str)
    assert requests.drop_duplicates().is_monotonic_increasing
    assert requests.nunique() == requests.ne(requests.shift()).sum()
    shown = table.groupby(requests.to_numpy())["position"]
    assert (shown.max() == shown.size()).all()
    assert (shown.min() == 1).all()


def test_a_sliced_day_has_the_rows_hours_and_rates_of_a_whole_one(
    simulator: Simulator, sliced: list[tuple[pa.Table, pa.Table]]
) -> None:
    parts = pa.concat_tables([table for table, _ in sliced]).to_pandas()
    whole = simulator.draw(DAY).to_pandas()
    for name in ("scene", "region", "period"):
        parts[name], whole[name] = parts[name].astype(str), whole[name].astype(str)

    def domains(frame: object) -> dict[str, int]:
        counted = frame.groupby(["scene", "region", "period"])["request_id"].nunique()  # type: ignore[attr-defined]
        return {domain_name(*name): count for name, count in counted.items()}

    assert domains(parts) == domains(whole)
    hours = [
        np.bincount(frame["event_time"].dt.hour, minlength=24) / len(frame)
        for frame in (parts, whole)
    ]
    assert np.abs(hours[0] - hours[1]).max() < 0.01
    assert parts["click"].mean() == pytest.approx(whole["click"].mean(), abs=0.01)


def test_the_same_seed_gives_the_same_slices(
    simulator: Simulator, sliced: list[tuple[pa.Table, pa.Table]]
) -> None:
    again = list(replace(simulator, slice_rows=6000).slices(DAY))
    assert all(one[0].equals(two[0]) for one, two in zip(sliced, again, strict=True))
    assert all(one[1].equals(two[1]) for one, two in zip(sliced, again, strict=True))


@pytest.mark.slow
@pytest.mark.ci
def test_the_file_holds_the_slices_in_order(
    monkeypatch: pytest.MonkeyPatch,
    sliced: list[tuple[pa.Table, pa.Table]],
    simulator: Simulator,
    tmp_path: Path,
) -> None:
    small = replace(simulator, slice_rows=6000)
    monkeypatch.setattr(Simulator, "build", classmethod(lambda cls, config: small))
    (path,) = simulate(CONFIG, tmp_path / "logs", days=[DAY], truth=tmp_path / "truth")
    assert pq.ParquetFile(path).num_row_groups == len(sliced)
    for written, place in ((path, 0), (tmp_path / "truth" / f"truth-{DAY}.parquet", 1)):
        drawn = pa.concat_tables([each[place] for each in sliced]).to_pandas()
        held = pq.read_table(written).to_pandas()
        for name in drawn:
            assert (held[name].astype(str) == drawn[name].astype(str)).all(), name
