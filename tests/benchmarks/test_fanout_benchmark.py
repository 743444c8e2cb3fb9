"""The benchmark of fanning out compares ways that train the same adapters."""

import pytest

from benchmarks.fanout import (
    Work,
    batched,
    batched_loop,
    measure,
    on_ray,
    processes,
    show,
    start_ray,
    threads,
)

WORK = Work(domains=3, rows=300, select=100, epochs=2)


@pytest.mark.slow
@pytest.mark.ci
def test_all_ways_train_the_same_adapters(capsys: pytest.CaptureFixture[str]) -> None:
    ways = {
        "threads": threads,
        "processes": processes,
        "batched": batched,
        "batched_loop": batched_loop,
    }
    figures = measure(WORK, ways, 2)
    assert all(figures[name] > 0 for name in ways)
    assert figures["loss_differences"]["processes"] == 0
    assert figures["loss_differences"]["batched_loop"] < 1e-5
    # Domains with few rows are standardised by all rows where they train together.
    assert figures["loss_differences"]["batched"] < 1e-2
    show(figures)
    assert "3 domains of 300 rows, 2 at once" in capsys.readouterr().out


@pytest.mark.slow
def test_ray_trains_the_same_adapters_too() -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[ray]'")
    stop = start_ray(1)
    assert stop is not None
    try:
        figures = measure(WORK, {"threads": threads, "ray": on_ray}, 1)
    finally:
        stop()
    assert figures["loss_differences"]["ray"] == 0
