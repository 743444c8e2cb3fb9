"""A large day: fetched, validated and committed, beside GX on pandas and a bare copy."""

import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from importlib import import_module
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, finish, options, say, table

DAY = date(2026, 3, 2)
ROWS, QUICK_ROWS = 20_000_000, 1_000_000
PANDAS_ROWS = 5_000_000
FILES = 4
# How the files may be written, as DuckDB's COPY says it.
FORMATS = {
    "parquet": "FORMAT parquet, COMPRESSION zstd",
    "csv": "FORMAT csv, HEADER",
    "csv.gz": "FORMAT csv, HEADER, COMPRESSION gzip",
    "jsonl": "FORMAT json",
}
Figures = dict[str, float]


def main() -> None:
    """Run the benchmark, each way in a process of its own."""
    parser = options(__doc__ or "")
    parser.add_argument("--rows", type=int, default=ROWS)
    scaled = "rows for GX on pandas; its figures are scaled up to --rows"
    parser.add_argument("--pandas-rows", type=int, default=PANDAS_ROWS, help=scaled)
    parser.add_argument("--format", choices=FORMATS, default="parquet", help="of the files")
    parser.add_argument("--scratch", type=Path, help="folder for the files, some 15 bytes a row")
    given = parser.parse_args()
    rows = QUICK_ROWS if given.quick else given.rows
    pandas_rows = min(rows, QUICK_ROWS if given.quick else given.pandas_rows)
    folder = Path(tempfile.mkdtemp(prefix="driftune-ingest-", dir=given.scratch))
    try:
        say(f"writing {rows:,} rows")
        alone(write_day, folder / "day", rows, given.format)
        say("bare copy")
        copied = alone(bare_copy, folder / "day", given.format)
        say("driftune")
        ours = alone(taken_in, folder / "day", given.format)
        if given.format != "parquet":
            report_text(given.format, rows, ours, copied)
            return
        alone(write_day, folder / "pandas", pandas_rows, given.format)
        say(f"GX on pandas, {pandas_rows:,} rows")
        theirs = alone(gx_on_pandas, folder / "pandas")
    finally:
        shutil.rmtree(folder)
    report(rows, pandas_rows, ours, theirs, copied)


def report(rows: int, pandas_rows: int, ours: Figures, theirs: Figures, copied: Figures) -> None:
    """Print the table and the figures; those of pandas grow with the rows."""
    factor = rows / pandas_rows
    scaled = {name: value * factor for name, value in theirs.items()}
    marked = "" if factor == 1 else f", scaled from {pandas_rows:,} rows"
    stations = ("fetch", "validate", "commit")
    lines = [
        ["driftune", *(f"{ours[name]:.1f}" for name in stations)],
        [f"GX on pandas{marked}", *(f"{scaled[name]:.1f}" for name in stations)],
        ["bare copy", "", "", f"{copied['seconds']:.1f}"],
    ]
    for line, figures in zip(lines, (ours, scaled, copied), strict=True):
        line += [f"{figures[name]:.1f}" for name in ("seconds", "cpu_seconds", "peak_gb")]
    head = ("fetch or load", "validate", "commit", "all", "CPU seconds", "peak GB")
    table([f"{rows:,} rows", *head], lines)
    finish(
        {
            "benchmark": "ingest",
            "rows": rows,
            "rows_per_s": rows / ours["seconds"],
            "seconds": ours["seconds"],
            "validate_seconds": ours["validate"],
            "peak_gb": ours["peak_gb"],
            "gx_pandas_seconds": scaled["seconds"],
            "gx_pandas_validate_seconds": scaled["validate"],
            "gx_pandas_peak_gb": scaled["peak_gb"],
            "gx_pandas_scaled_from_rows": pandas_rows,
            "copy_seconds": copied["seconds"],
            "cpu_seconds": {
                "driftune": ours["cpu_seconds"],
                "gx_pandas": scaled["cpu_seconds"],
                "copy": copied["cpu_seconds"],
            },
        }
    )


def report_text(kind: str, rows: int, ours: Figures, copied: Figures) -> None:
    """Print the table and the figures of text files."""
    stations = ("fetch", "validate", "commit", "seconds", "cpu_seconds", "peak_gb")
    lines = [
        ["driftune", *(f"{ours[name]:.1f}" for name in stations)],
        ["DuckDB alone, to Parquet", "", "", ""],
    ]
    lines[1] += [f"{copied[name]:.1f}" for name in stations[3:]]
    head = ("fetch", "validate", "commit", "all", "CPU seconds", "peak GB")
    table([f"{rows:,} rows of {kind}", *head], lines)
    finish(
        {
            "benchmark": "ingest",
            "format": kind,
            "rows": rows,
            "rows_per_s": rows / ours["seconds"],
            "seconds": ours["seconds"],
            "validate_seconds": ours["validate"],
            "peak_gb": ours["peak_gb"],
            "copy_seconds": copied["seconds"],
            "copies": ours["seconds"] / copied["seconds"],
        }
    )


def alone(way: Callable[..., Figures], *given: Any) -> Figures:
    """What one way measured in a fresh process, and the process's peak memory in GB."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_with_peak, way, *given).result()


def _with_peak(way: Callable[..., Figures], *given: Any) -> Figures:
    from driftune.cli.console import quiet_exit

    quiet_exit()
    found = way(*given)
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {**found, "peak_gb": used.ru_maxrss / 1e6}


def write_day(folder: Path, rows: int, kind: str) -> Figures:
    """A day in several files: eight domains, ten clicks in a hundred rows."""
    from driftune.lake.duck import connect

    (folder / "logs").mkdir(parents=True)
    with connect(reach=[folder], memory="1GB") as con:
        for part in range(FILES):
            low, high = rows * part // FILES, rows * (part + 1) // FILES
            con.execute(
                f"""
                COPY (
                    SELECT (hash(i, 1) % 2000000)::BIGINT AS user_id,
                           (hash(i, 2) % 100000)::BIGINT AS item_id,
                           TIMESTAMP '{DAY}'
                               + to_microseconds((i * {86_400_000_000 / rows})::BIGINT)
                               AS event_time,
                           ['home', 'search', 'cart', 'feed'][1 + (hash(i, 3) % 4)::INT] AS scene,
                           ['north', 'south'][1 + (hash(i, 4) % 2)::INT] AS region,
                           'c' || (hash(i, 5) % 40) AS category,
                           round(5 + (hash(i, 6) % 5000) / 100.0, 2) AS price,
                           i // 4 AS request_id, (1 + i % 4)::TINYINT AS position,
                           round(0.1 + (hash(i, 10) % 9000) / 10000.0, 4) AS propensity,
                           'r' || (hash(i, 9) % 5000) AS restaurant_id,
                           (hash(i, 7) % 10 < 1)::TINYINT AS click,
                           (hash(i, 7) % 10 < 1 AND hash(i, 8) % 5 = 0)::TINYINT AS ordered
                    FROM range({low}, {high}) AS numbers(i)
                ) TO '{folder}/logs/{DAY}-{part}.{kind}' ({FORMATS[kind]})
                """
            )
    return {}


def bare_copy(folder: Path, kind: str) -> Figures:
    """DuckDB's COPY of the same files."""
    from driftune.lake.duck import connect

    started, used = time.perf_counter(), time.process_time()
    with connect(reach=[folder]) as con:
        con.execute(
            f"COPY (FROM '{folder}/logs/*.{kind}') TO '{folder}/copy.parquet' "
            "(FORMAT parquet, COMPRESSION zstd)"
        )
    return {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - used,
    }


def taken_in(folder: Path, kind: str) -> Figures:
    """The product's own way with its own params.yaml, station by station as ``ingest`` does."""
    return stations(folder, {"source": {"uri": f"logs/{{day}}-*.{kind}"}})


def stations(folder: Path, changes: dict[str, Any]) -> Figures:
    """Take a day in with the project's own params.yaml, its sections changed by ``changes``."""
    import yaml

    from driftune.config.loading import load_config
    from driftune.intake.ingest import check, commit_day, domains_for, unchanged
    from driftune.intake.stage import stage
    from driftune.lake.scratch import scratch
    from driftune.lake.source import fetch
    from driftune.no_telemetry import silence
    from driftune.registry.ledger import Ledger

    silence()
    # Imports are not timed, here as for pandas.
    for name in ("deltalake", "great_expectations.expectations"):
        import_module(name)
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params |= {"reference": {"first": f"{DAY}", "last": f"{DAY}"}, **changes}
    file = folder / "params.yaml"
    file.write_text(yaml.safe_dump(params), encoding="utf-8")
    config = load_config(file, env={})
    times, used = [time.perf_counter()], time.process_time()
    with Ledger(config) as ledger, scratch(config, DAY) as space:
        fetched = fetch(config, DAY, space)
        assert unchanged(config, ledger, fetched) is None
        times.append(time.perf_counter())
        staged = stage(config, fetched, domains_for(config, DAY), space / "day.duckdb")
        quality = check(config, staged)
        times.append(time.perf_counter())
        commit_day(config, ledger, staged, quality)
    times.append(time.perf_counter())
    return {**_stations(times, time.process_time() - used), "accepted": quality.accepted}


def gx_on_pandas(folder: Path) -> Figures:
    """Load into a frame, validate it by the same expectations, write it."""
    import great_expectations as gx
    import great_expectations.expectations as catalogue
    import pandas as pd
    from great_expectations.data_context.types.base import ProgressBarsConfig

    from driftune.no_telemetry import silence

    silence()
    start, end = pd.Timestamp(DAY), pd.Timestamp(DAY) + pd.Timedelta(days=1)
    times, used = [time.perf_counter()], time.process_time()
    frame = pd.concat(
        [pd.read_parquet(path) for path in sorted((folder / "logs").glob("*.parquet"))],
        ignore_index=True,
    )
    times.append(time.perf_counter())
    expected = [
        catalogue.ExpectTableRowCountToBeBetween(min_value=100),
        catalogue.ExpectColumnMeanToBeBetween(column="click", min_value=0.001, max_value=0.9),
        *(
            catalogue.ExpectColumnValuesToNotBeNull(column=column)
            for column in ("user_id", "item_id", "event_time", "scene", "region")
        ),
        catalogue.ExpectColumnValuesToBeBetween(
            column="event_time", min_value=start, max_value=end, strict_max=True
        ),
        *(
            catalogue.ExpectColumnValuesToBeInSet(column=column, value_set=[0, 1])
            for column in ("click", "ordered")
        ),
        catalogue.ExpectColumnPairValuesAToBeGreaterThanB(
            column_A="click", column_B="ordered", or_equal=True
        ),
        catalogue.ExpectCompoundColumnsToBeUnique(column_list=list(frame.columns)),
    ]
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("frame").add_dataframe_asset("day")
    batch = asset.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": frame})
    result = batch.validate(gx.ExpectationSuite("day", expectations=expected))
    assert result.success, result.describe()
    times.append(time.perf_counter())
    frame.to_parquet(folder / "written.parquet", compression="zstd", index=False)
    times.append(time.perf_counter())
    return _stations(times, time.process_time() - used)


def _stations(times: list[float], cpu: float) -> Figures:
    fetched, validated, committed = (after - before for before, after in pairwise(times))
    return {
        "fetch": fetched,
        "validate": validated,
        "commit": committed,
        "seconds": times[-1] - times[0],
        "cpu_seconds": cpu,
    }


if __name__ == "__main__":
    main()
