"""The benchmarks of operation live through days and tell what was lost."""

from pathlib import Path

import pytest

from benchmarks import overhead, runners, soak
from benchmarks.small_world import SmallWorld


@pytest.mark.slow
@pytest.mark.ci
def test_a_soak_counts_its_days_and_those_that_were_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = SmallWorld(tmp_path, rows=1500).make()
    figures = soak.live(world, 3)
    assert (figures["days"], figures["lost"], figures["decisions"]) == (3, 0, 60)
    assert soak.lost(world, 4) == [world.day(3).isoformat()]
    soak.show(figures)
    assert "0 of 3 days lost" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.ci
def test_flow_and_plain_calls_decide_the_same(tmp_path: Path) -> None:
    figures = overhead.compare(tmp_path, 1)
    assert figures["same"] and min(figures["flow_seconds"], figures["plain_seconds"]) > 0


@pytest.mark.slow
def test_runners_decide_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = runners.compare(tmp_path, scenes=2, rows=400)
    assert figures["same"] and figures["drifted"] == 2
    runners.show(figures)
    assert "decided alike" in capsys.readouterr().out
