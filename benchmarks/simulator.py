"""Speed of the simulator: rows per second, files with their truth included, and peak memory."""

import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from multiprocessing import get_context
from pathlib import Path

from benchmarks.common import finish, options, table
from driftune.simulate import SimulationConfig, simulate

DAYS = 2


def main() -> None:
    """Run the benchmark, each size in a process of its own."""
    given = options(__doc__ or "").parse_args()
    sizes = (3_000, 30_000) if given.quick else (3_000, 30_000, 300_000, 1_000_000)
    found, lines = {}, []
    for rows in sizes:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            figures = pool.submit(measure, rows).result()
        found[str(rows)] = figures
        lines.append(
            [
                f"{figures['rows'] // DAYS:,}",
                f"{figures['rows_per_second']:,.0f}",
                f"{figures['peak_gb']:.2f}",
                f"{figures['bytes_per_row']:.1f}",
            ]
        )
    table(["rows a day", "rows/s", "peak GB", "bytes per row"], lines)
    finish({"benchmark": "simulator", "by_rows_per_domain": found})


def measure(rows: int) -> dict[str, float]:
    """Simulate two days of six domains with this many rows each."""
    config = SimulationConfig(
        start=date(2026, 3, 2), days=DAYS, rows_per_domain=rows, users=max(4000, rows // 4)
    )
    counts: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        logs, truth = Path(folder) / "logs", Path(folder) / "truth"
        simulate(config, logs, truth=truth, progress=counts.append)
        seconds = time.perf_counter() - started
        size = sum(file.stat().st_size for file in logs.glob("*"))
    drawn = sum(int(line.split(": ")[1].split()[0].replace(",", "")) for line in counts)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return {
        "rows": drawn,
        "rows_per_second": drawn / seconds,
        "peak_gb": peak,
        "bytes_per_row": size / drawn,
    }


if __name__ == "__main__":
    main()
