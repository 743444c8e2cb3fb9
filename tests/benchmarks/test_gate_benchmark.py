"""The gate benchmarks: a quick run of each ends with the figures that are promised."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def quick(name: str) -> dict[str, Any]:
    """Run a benchmark's quick form; returns its last line's figures."""
    command = [sys.executable, "-m", f"benchmarks.{name}", "--quick"]
    root = Path(__file__).parents[2]
    ended = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    figures: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return figures


@pytest.mark.slow
def test_the_gate_s_power_is_measured() -> None:
    figures = quick("gate_power")
    assert figures["decisions"] >= 160
    assert figures["harmful_promoted"] <= figures["null_promoted"] <= figures["gain_promoted"]
    assert figures["gain_promoted"] >= 0.6
    assert figures["slice_harm_stopped"] >= 0.8
    assert 0.85 <= figures["coverage"] <= 1
    assert figures["naive_null_promoted"] > 0.2


@pytest.mark.slow
@pytest.mark.ci
def test_the_gate_s_speed_is_measured() -> None:
    figures = quick("gate_speed")
    assert 0 < figures["seconds"] < figures["sklearn_loop_seconds"] / 5
    assert 0 < figures["peak_gb"] <= 2
