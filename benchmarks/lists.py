"""Logs of lists beside DuckDB's own unnest, and of clicks alone beside the same rows delivered.

What is timed is staging, validation and commit with the project's own params.yaml.
"""

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common import finish, options, say, table
from benchmarks.ingest import DAY, Figures, alone, stations

LISTS, CLICKS = 200_000, 1_000_000
QUICK = 20
ELEMENTS, DRAWN = 25, 4
# A list's elements as Parquet holds them, and as a text of a CSV file.
KINDS = {"parquet": "FORMAT parquet, COMPRESSION zstd", "csv": "FORMAT csv, HEADER"}


def main() -> None:
    """Run the benchmark, each way in a process of its own."""
    parser = options(__doc__ or "")
    parser.add_argument("--lists", type=int, default=LISTS, help=f"of {ELEMENTS} items each")
    parser.add_argument("--clicks", type=int, default=CLICKS, help=f"with {DRAWN} rows drawn each")
    given = parser.parse_args()
    lists, clicks = (
        (LISTS // QUICK, CLICKS // QUICK) if given.quick else (given.lists, given.clicks)
    )
    folder = Path(tempfile.mkdtemp(prefix="driftune-lists-"))
    figures: dict[str, Figures] = {}
    try:
        for kind in KINDS:
            say(f"{lists:,} lists of {ELEMENTS} as {kind}")
            alone(write_lists, folder / kind, lists, kind)
            figures[f"{kind} by DuckDB"] = alone(unnested, folder / kind, kind)
            figures[kind] = alone(exploded, folder / kind, kind)
        say(f"{clicks:,} clicks with {DRAWN} rows drawn for each")
        alone(write_clicks, folder / "clicks", clicks)
        figures["drawn"] = alone(drawn, folder / "clicks")
        figures["delivered"] = alone(delivered, folder / "clicks")
    finally:
        shutil.rmtree(folder)
    report(lists, clicks, figures)


def report(lists: int, clicks: int, figures: dict[str, Figures]) -> None:
    """Print the table and the figures."""
    names = {
        "parquet": f"{lists:,} lists of Parquet, exploded",
        "parquet by DuckDB": "… unnested and copied by DuckDB",
        "csv": f"{lists:,} lists of CSV texts, exploded",
        "csv by DuckDB": "… split, unnested and copied by DuckDB",
        "drawn": f"{clicks:,} clicks, rows drawn for each",
        "delivered": "… the same rows delivered",
    }
    shown = ("seconds", "cpu_seconds", "peak_gb")
    rows = [[name, *(f"{figures[key][each]:.1f}" for each in shown)] for key, name in names.items()]
    table(["", "seconds", "CPU seconds", "peak GB"], rows)

    def ratio(ours: str, theirs: str) -> float:
        return figures[ours]["seconds"] / figures[theirs]["seconds"]

    finish(
        {
            "benchmark": "lists",
            "lists": lists,
            "clicks": clicks,
            "parquet_vs_duckdb": ratio("parquet", "parquet by DuckDB"),
            "csv_vs_duckdb": ratio("csv", "csv by DuckDB"),
            "drawn_vs_delivered": ratio("drawn", "delivered"),
            "figures": figures,
        }
    )


def write_lists(folder: Path, lists: int, kind: str) -> Figures:
    """A day of lists: their items and prices side by side, and the place of the click."""
    from driftune.lake.duck import connect

    (folder / "logs").mkdir(parents=True)
    places = f"range({ELEMENTS})"
    items = f"[('n' || (hash(i, p) % 50000)) FOR p IN {places}]"
    prices = f"[5 + (hash(i, p, 1) % 5000) / 100 FOR p IN {places}]"
    if kind == "csv":
        items, prices = (f"array_to_string({each}, ' ')" for each in (items, prices))
    with connect(reach=[folder], memory="1GB") as con:
        con.execute(
            f"""
            COPY (
                SELECT 'u' || (hash(i, 2) % 60000) AS user_id,
                       TIMESTAMP '{DAY}' + to_microseconds((i * {86_400_000_000 / lists})::BIGINT)
                           AS event_time,
                       ['home', 'search', 'cart', 'feed'][1 + (hash(i, 3) % 4)::INT] AS scene,
                       {items} AS items, {prices} AS prices,
                       1 + (hash(i, 5) % {ELEMENTS})::INT AS clicked
                FROM range({lists}) AS numbers(i)
            ) TO '{folder}/logs/{DAY}.{kind}' ({KINDS[kind]})
            """
        )
    return {}


def unnested(folder: Path, kind: str) -> Figures:
    """DuckDB's own unnest and COPY of the same rows."""
    from driftune.lake.duck import connect

    lists = ["items", "prices"]
    if kind == "csv":
        lists = ["string_split(items, ' ')", "string_split(prices, ' ')"]
    started, used = time.perf_counter(), time.process_time()
    with connect(reach=[folder]) as con:
        con.execute(
            f"""
            COPY (
                SELECT * EXCLUDE (items, prices), unnest({lists[0]}) AS item,
                       unnest({lists[1]})::DOUBLE AS price,
                       generate_subscripts({lists[0]}, 1) AS place
                FROM '{folder}/logs/*.{kind}'
            ) TO '{folder}/copy.parquet' (FORMAT parquet, COMPRESSION zstd)
            """
        )
    return _used(started, used)


def exploded(folder: Path, kind: str) -> Figures:
    """The product's own way, by ``source.explode``."""
    explode: dict[str, Any] = {
        "columns": {"item_id": "items", "price": "prices"},
        "clicked": {"at": "clicked"},
    }
    if kind == "csv":
        explode["separator"] = " "
    source = {"uri": f"logs/{{day}}.{kind}", "explode": explode}
    return stations(folder, {**_roles("list_clicked"), "source": source})


def write_clicks(folder: Path, clicks: int) -> Figures:
    """A day of clicks alone, four of ten on the most popular thousand items."""
    from driftune.lake.duck import connect

    (folder / "logs").mkdir(parents=True)
    with connect(reach=[folder], memory="1GB") as con:
        con.execute(
            f"""
            COPY (
                SELECT 'u' || (hash(i, 2) % 200000) AS user_id,
                       TIMESTAMP '{DAY}' + to_microseconds((i * {86_400_000_000 / clicks})::BIGINT)
                           AS event_time,
                       ['home', 'search', 'cart', 'feed'][1 + (hash(i, 3) % 4)::INT] AS scene,
                       'n' || (hash(i, 4) % CASE WHEN hash(i, 6) % 10 < 4 THEN 1000 ELSE 50000 END)
                           AS item_id,
                       5 + (hash(i, 5) % 5000) / 100 AS price
                FROM range({clicks}) AS numbers(i)
            ) TO '{folder}/logs/{DAY}.parquet' (FORMAT parquet, COMPRESSION zstd)
            """
        )
    return {}


def drawn(folder: Path) -> Figures:
    """Rows without a click are drawn; the lake's are kept for ``delivered``."""
    negatives = {"negatives": {"per_positive": DRAWN, "from": "domain_day"}}
    source = {"source": {"uri": "logs/{day}.parquet"}}
    return stations(folder, {**_roles(None), **negatives, **source})


def delivered(folder: Path) -> Figures:
    """The rows that ``drawn`` left in the lake, as a log that holds them all."""
    from driftune.lake.duck import connect

    other = folder / "other"
    (other / "logs").mkdir(parents=True)
    with connect(reach=[folder]) as con:
        con.execute(
            f"""
            COPY (
                SELECT user_id, item_id, event_time, domain AS scene, price, click
                FROM read_parquet('{folder}/workspace/lake/**/*.parquet', hive_partitioning=false)
            ) TO '{other}/logs/{DAY}.parquet' (FORMAT parquet, COMPRESSION zstd)
            """
        )
    return stations(other, {**_roles("click"), "source": {"uri": "logs/{day}.parquet"}})


def _roles(click: str | None) -> dict[str, Any]:
    """Sections of params.yaml for these logs."""
    columns = {
        "user": "user_id",
        "item": "item_id",
        "time": {"column": "event_time"},
        "domain": "scene",
        "price": "price",
    }
    if click is not None:
        columns["click"] = click
    features = {"counters": {"per": [["item"], ["user"]]}}
    return {"columns": columns, "features": features}


def _used(started: float, used: float) -> Figures:
    return {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - used,
    }


if __name__ == "__main__":
    main()
