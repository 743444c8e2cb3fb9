"""Speed of the simulator: rows per second, files with their truth included, and peak memory."""

import resource
import tempfile
import time
from datetime import date
from pathlib import Path

from benchmarks.common import finish, options, table
from driftune.simulate import SimulationConfig, simulate


def main() -> None:
    """Run the benchmark."""
    given = options(__doc__ or "").parse_args()
    sizes = (3_000, 30_000) if given.quick else (3_000, 30_000, 300_000)
    found, lines = {}, []
    for rows in sizes:
        config = SimulationConfig(
            start=date(2026, 3, 2), days=2, rows_per_domain=rows, users=max(4000, rows // 4)
        )
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            counts: list[str] = []
            simulate(
                config, Path(folder) / "logs", truth=Path(folder) / "truth", progress=counts.append
            )
            seconds = time.perf_counter() - started
            drawn = sum(int(line.split(": ")[1].split()[0].replace(",", "")) for line in counts)
            size = sum(file.stat().st_size for file in Path(folder).glob("logs/*"))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        found[str(rows)] = {"rows": drawn, "rows_per_second": drawn / seconds, "peak_gb": peak}
        lines.append(
            [f"{drawn // 2:,}", f"{drawn / seconds:,.0f}", f"{peak:.2f}", f"{size / drawn:.1f}"]
        )
    table(["rows a day", "rows/s", "peak GB", "bytes per row"], lines)
    finish({"benchmark": "simulator", "by_rows_per_domain": found})


if __name__ == "__main__":
    main()
