"""Files: same bytes for the same settings, whole or absent, small, in the promised columns."""

from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftune.simulate import Event, SimulationConfig, simulate

START = date(2026, 3, 2)
SMALL = SimulationConfig(start=START, days=4, rows_per_domain=60, users=200, items=80)
SHIFT = Event(
    domain="home · north",
    day=START + timedelta(days=2),
    favour=("coffee", "sushi"),
    against=("noodles", "curry"),
)


@pytest.fixture(scope="module")
def small_bytes(tmp_path_factory: pytest.TempPathFactory) -> dict[date, bytes]:
    paths = simulate(SMALL, tmp_path_factory.mktemp("small"))
    return {day: path.read_bytes() for day, path in zip(SMALL.calendar, paths, strict=True)}


@settings(max_examples=8, deadline=None, derandomize=True)
@given(days=st.permutations(SMALL.calendar).flatmap(lambda d: st.sampled_from([d[:1], d[:3], d])))
@pytest.mark.slow
@pytest.mark.ci
def test_a_day_has_the_same_bytes_whichever_days_are_written(
    days: list[date],
    small_bytes: dict[date, bytes],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    paths = simulate(SMALL, tmp_path_factory.mktemp("some"), days=days)
    assert [path.read_bytes() for path in paths] == [small_bytes[day] for day in days]


def test_a_longer_calendar_leaves_earlier_days_alone(
    small_bytes: dict[date, bytes], tmp_path: Path
) -> None:
    longer = SMALL.model_copy(update={"days": 9})
    (path,) = simulate(longer, tmp_path, days=[START])
    assert path.read_bytes() == small_bytes[START]


def test_another_seed_gives_another_day(small_bytes: dict[date, bytes], tmp_path: Path) -> None:
    (path,) = simulate(SMALL.model_copy(update={"seed": 8}), tmp_path, days=[START])
    assert path.read_bytes() != small_bytes[START]


def test_an_event_changes_its_domain_from_its_day_on_and_nothing_else(tmp_path: Path) -> None:
    shifted = SMALL.model_copy(update={"events": (SHIFT,)})
    before = simulate(SMALL, tmp_path / "without")
    after = simulate(shifted, tmp_path / "with")
    for day, plain, planted in zip(SMALL.calendar, before, after, strict=True):
        left, right = pq.read_table(plain).to_pandas(), pq.read_table(planted).to_pandas()
        hit = (right["scene"] == "home") & (right["region"] == "north")
        assert left[~hit].equals(right[~hit])
        assert left[hit].equals(right[hit]) == (day < SHIFT.day)


def test_columns_have_the_promised_types(demo_files: list[Path]) -> None:
    text = pa.string()
    assert {field.name: field.type for field in pq.read_schema(demo_files[0])} == {
        "request_id": text,
        "user_id": text,
        "item_id": text,
        "event_time": pa.timestamp("us"),
        "scene": text,
        "region": text,
        "position": pa.int8(),
        "category": text,
        "price": pa.float32(),
        "restaurant_id": text,
        "click": pa.int8(),
        "ordered": pa.int8(),
        "propensity": pa.float32(),
    }


def test_ten_reference_days_stay_small(demo_files: list[Path]) -> None:
    sizes = [path.stat().st_size for path in demo_files]
    assert max(sizes) <= 500_000
    assert sum(sizes[:10]) <= 4_500_000


def test_files_are_named_by_day_and_nothing_else_is_left(tmp_path: Path) -> None:
    lines: list[str] = []
    paths = simulate(SMALL, tmp_path / "logs", days=[START], progress=lines.append)
    assert [path.name for path in paths] == ["impressions-2026-03-02.parquet"]
    assert list((tmp_path / "logs").iterdir()) == paths
    assert len(lines) == 1
    assert lines[0].startswith("2026-03-02: ")


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = simulate(SMALL, tmp_path, days=[START])
    old = path.read_bytes()

    def fail(writer: pq.ParquetWriter, table: pa.Table) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", fail)
    with pytest.raises(OSError, match="disk full"):
        simulate(SMALL.model_copy(update={"seed": 8}), tmp_path, days=[START])
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


def test_days_outside_the_calendar_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    out = tmp_path / "logs"
    with pytest.raises(ValueError, match="2026-03-06"):
        simulate(SMALL, out, days=[START, date(2026, 3, 6)])
    assert not out.exists()
