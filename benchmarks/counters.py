"""Counters of one day over its history: days before alone, beside rows up to an hour old.

Each way makes the six default counters of a day and writes its numbers, in a process of its own.
"""

import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import date, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, finish, options, say, table

DAY = date(2026, 3, 30)
WAYS: dict[str, float | None] = {"days before": None, "lag of 1 h": 1.0, "lag of 24 h": 24.0}


def main() -> None:
    """Run the benchmark."""
    parser = options(__doc__ or "")
    parser.add_argument("--rows", type=int, help="rows a day")
    parser.add_argument("--days", type=int, help="days of history")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    rows = given.rows or (50_000 if given.quick else 1_000_000)
    days = given.days or (7 if given.quick else 28)
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        say(f"writing {days + 1} days of {rows:,} rows")
        for back in range(days + 1):
            write_day(Path(folder), DAY - timedelta(days=back), rows)
        for _ in range(given.rounds):
            for name, lag in WAYS.items():
                taken[name].append(alone(Path(folder), days, lag))
                say(f"{name}: {taken[name][-1]['seconds']:.1f} s")
    found = {name: _middle(each) for name, each in taken.items()}
    lines = [
        [name, *(f"{each[figure]:.1f}" for figure in ("seconds", "cpu_seconds", "peak_gb"))]
        for name, each in found.items()
    ]
    print(f"six counters of {rows:,} rows over {days} days of as many")
    table(["counters see", "seconds", "CPU seconds", "peak GB"], lines)
    finish({"benchmark": "counters", "rows": rows, "days": days, "ways": found})


def write_day(folder: Path, day: date, rows: int) -> None:
    """Write a day's rows as the lake has them: Zipf-like items and users, 20 domains."""
    from driftune.lake.duck import connect, literal

    with connect(reach=[folder]) as con:
        # Powers of a uniform number: few items and users have most of the rows.
        con.execute(
            f"""
            COPY (
                SELECT DATE '{day}' AS day,
                       TIMESTAMP '{day}' + to_microseconds((8.64e10 * a)::BIGINT) AS event_time,
                       'user-' || floor({max(rows // 5, 10)} * b ** 2)::INTEGER AS user_id,
                       'item-' || floor({max(rows // 50, 10)} * c ** 3)::INTEGER AS item_id,
                       'domain-' || floor(20 * d)::INTEGER AS domain_key,
                       'category-' || (floor({max(rows // 50, 10)} * c ** 3) % 30)::INTEGER
                           AS category,
                       (e < 0.1)::TINYINT AS click, (e < 0.01)::TINYINT AS "convert"
                FROM (
                    SELECT {
                ", ".join(
                    f"(hash(n, {k}, '{day}') >> 11) / 2.0 ** 53 AS {name}"
                    for k, name in enumerate("abcde")
                )
            }
                    FROM range({rows}) AS r(n)
                )
            ) TO {literal(str(folder / f"{day}.parquet"))} (FORMAT parquet, COMPRESSION zstd)
            """
        )


def alone(folder: Path, days: int, lag: float | None) -> dict[str, float]:
    """What one way takes in a fresh process; its peak memory in GB."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(made, folder, days, lag).result()


def made(folder: Path, days: int, lag: float | None) -> dict[str, float]:
    """Make the counters of the newest day, and write its numbers."""
    from driftune.config import Config
    from driftune.config.loading import load_config
    from driftune.features.counters import build_counters, counter_joins, counter_select
    from driftune.lake.duck import connect, literal, parquet

    plain = load_config(ROOT / "params.yaml", env={})
    tree = plain.model_dump(mode="json", by_alias=True, exclude_unset=True)
    tree["features"]["counters"] = {"lag_hours": lag, "history_days": days}
    config = Config.model_validate(tree)
    files = [folder / f"{DAY - timedelta(days=back)}.parquet" for back in range(days + 1)]
    started, cpu = time.perf_counter(), time.process_time()
    memory = config.resources.memory
    with connect(reach=[folder], memory=memory, spill=folder / "spill") as con:
        con.execute(f"CREATE TEMP VIEW day_rows AS FROM {parquet(files[0])}")
        build_counters(con, config, parquet(*files[1:]), DAY)
        con.execute(
            f"COPY (SELECT {counter_select(config)} FROM day_rows {counter_joins(config)}) "
            f"TO {literal(str(folder / 'numbers.parquet'))} (FORMAT parquet, COMPRESSION zstd)"
        )
    return {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


def _middle(rounds: list[dict[str, Any]]) -> dict[str, float]:
    """The round of median CPU seconds."""
    return sorted(rounds, key=lambda each: float(each["cpu_seconds"]))[len(rounds) // 2]


if __name__ == "__main__":
    main()
