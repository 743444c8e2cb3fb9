"""The loop outside: hours, days and pasts as Driftune has them, and weights in one go."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from driftune.models.esmm import ESMM
from tests.examples.conftest import EXAMPLES, imported


def test_pasts_look_back_so_many_days_of_the_zone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(EXAMPLES / "outside.py", tmp_path)
    outside = imported(tmp_path, "outside")
    monkeypatch.setattr(outside, "ZONE", "Asia/Tokyo")
    # In Tokyo it is past midnight for the second event alone.
    begin = datetime(2026, 3, 1, 14, 30, tzinfo=UTC)
    times = [begin, begin + timedelta(hours=1), begin + timedelta(days=28, hours=1)]
    rows = {"event_time": times, "item_id": ["a", "b", "c"], "ordered": 0, "price": 1.0}
    rows |= {"user_id": "u", "category": "x", "scene": "s", "region": "r", "click": 1}
    pd.DataFrame(rows).to_parquet(tmp_path / "day.parquet")
    table = outside.read_logs([tmp_path / "day.parquet"], 5)
    assert table["hour"].to_pylist() == [23, 0, 0]
    assert table["history_item"].to_pylist() == [[], ["a"], ["b"]]


def test_weights_take_the_place_of_others_in_one_go(tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / "outside.py", tmp_path)
    outside, path = imported(tmp_path, "outside"), tmp_path / "w.safetensors"
    models = [ESMM([4, 4], 3, 5, [8]) for _ in range(2)]
    outside.save(models[0], path)
    mapped = load_file(path)
    kept = {name: each.clone() for name, each in mapped.items()}
    outside.save(models[1], path)
    assert all(torch.equal(mapped[name], kept[name]) for name in kept)
    assert [each.name for each in tmp_path.glob("w.*")] == ["w.safetensors"]
