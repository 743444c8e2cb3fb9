"""Writing simulated days as Parquet files, whole or not at all."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from driftune.io import replacing
from driftune.simulate.days import TRUTH, Simulator
from driftune.simulate.settings import SimulationConfig

COMPRESSION_LEVEL = 9
PLAIN = ("propensity", *TRUTH)


def file_name(day: date) -> str:
    """Return the name of a day's file, e.g. ``impressions-2026-03-02.parquet``."""
    return f"impressions-{day.isoformat()}.parquet"


def simulate(
    config: SimulationConfig,
    out: Path,
    *,
    days: Sequence[date] | None = None,
    truth: Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> list[Path]:
    """Write one Parquet file per day into ``out`` and return their paths in the order of ``days``.

    ``truth``, a folder, gets a file for each day with the true probabilities of its rows, in their
    order; no part that learns may read them. ``days`` defaults to the whole calendar. A day's file
    has the same bytes whichever other days are written. ``progress`` gets one line per file.
    Raises ValueError, before anything is written, for days outside the configured calendar, and
    OSError where a folder cannot be written.
    """
    wanted = config.calendar if days is None else list(days)
    outside = [day.isoformat() for day in wanted if not config.start <= day <= config.last]
    if outside:
        raise ValueError(
            f"days outside {config.start} to {config.last} of the simulation: {', '.join(outside)}"
        )
    out.mkdir(parents=True, exist_ok=True)
    simulator = Simulator.build(config)
    paths = []
    for day in wanted:
        path = out / file_name(day)
        with ExitStack() as files:
            logs = _writer(files, path)
            probabilities = None
            if truth is not None:
                truth.mkdir(parents=True, exist_ok=True)
                probabilities = _writer(files, truth / f"truth-{day.isoformat()}.parquet")
            rows = 0
            for table, true in simulator.slices(day):
                logs(table)
                if probabilities is not None:
                    probabilities(true)
                rows += table.num_rows
        paths.append(path)
        if progress is not None:
            progress(f"{day.isoformat()}: {rows:,} impressions")
    return paths


def _writer(files: ExitStack, path: Path) -> Callable[[pa.Table], None]:
    """A function that appends tables to the file, which is there when ``files`` are closed."""
    temporary = files.enter_context(replacing(path))
    writer: pq.ParquetWriter | None = None

    def write(table: pa.Table) -> None:
        nonlocal writer
        if writer is None:
            # Without the Arrow schema, readers see plain strings instead of dictionaries.
            writer = files.enter_context(
                pq.ParquetWriter(
                    temporary,
                    table.schema,
                    compression="zstd",
                    compression_level=COMPRESSION_LEVEL,
                    use_dictionary=[name for name in table.column_names if name not in PLAIN],
                    store_schema=False,
                )
            )
        writer.write_table(table)

    return write
