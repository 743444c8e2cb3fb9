"""A year of days: does a day late in it take as long, and as much memory, as one early in it?

Each day has 20 domains and 3,000 impressions, is written, and is taken in by the real daily flow in
this process, with a Prefect server beside it as its users have one. By default nobody's tastes
change, so that the days differ in what lies behind them alone; with ``--turn-days`` one domain
after another drifts, and a day also costs what its fine-tunes, alerts and waiting challengers cost.
Figures are medians over a week, by the clock; memory is what this process holds after a day.
"""

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from benchmarks.common import finish, options, say, table
from benchmarks.small_world import SmallWorld, prefect_server
from driftune.lake.table import Lake
from driftune.no_telemetry import silence
from driftune.registry.ledger import Ledger
from driftune.registry.runs import newest_runs
from driftune.training.threads import one_thread

# Days around the tenth and at the end whose median counts.
SPAN = 7


def main() -> None:
    """Run the benchmark."""
    parser = options(__doc__ or "")
    parser.add_argument("--days", type=int, default=365, help="days to live through")
    parser.add_argument("--turn-days", type=int, default=0, help="a domain's tastes turn so often")
    given = parser.parse_args()
    days = 16 if given.quick else given.days
    silence()
    with tempfile.TemporaryDirectory() as folder, prefect_server(Path(folder) / "prefect"):
        figures = live(SmallWorld(Path(folder) / "project", turn_days=given.turn_days).make(), days)
    show(figures)
    finish({"benchmark": "soak", **figures})


def live(world: SmallWorld, days: int) -> dict[str, Any]:
    """Run the days one after the other; seconds and GB of each, and the days that were lost."""
    from flows.daily import daily

    process = psutil.Process()
    seconds, memory = [], []
    with one_thread():
        for number in range(days):
            world.write(number)
            started = time.perf_counter()
            daily(world.day(number), str(world.params))
            seconds.append(time.perf_counter() - started)
            memory.append(process.memory_info().rss / 1e9)
            if number % 10 == 9:
                say(f"day {number + 1}: {median(seconds[-10:]):.2f} s, {memory[-1]:.2f} GB")
    # The first day pre-trains.
    early = slice(min(max(9 - SPAN // 2, 1), days - 1), 10 + SPAN // 2)
    return {
        "day10_seconds": median(seconds[early]),
        "last_day_seconds": median(seconds[-SPAN:]),
        "day10_gb": median(memory[early]),
        "last_day_gb": median(memory[-SPAN:]),
        "days": days,
        "lost": len(lost(world, days)),
        "by_30_days": [median(seconds[n : n + 30]) for n in range(0, days, 30)],
        "total_seconds": sum(seconds),
        "stations": _stations(world, early),
        **_grown(world),
    }


def lost(world: SmallWorld, days: int) -> list[str]:
    """Days that ledger, lake or review site lack."""
    config = world.config
    with Ledger(config) as ledger:
        recorded = {row.day for row in ledger.days()}
    held = {day.isoformat() for day in Lake.of(config).days}
    pages = {path.stem for path in (config.home / "reports" / "day").glob("*.html")}
    every = [world.day(number).isoformat() for number in range(days)]
    return [day for day in every if day not in recorded & held & pages]


def _stations(world: SmallWorld, early: slice) -> dict[str, list[float]]:
    """Each station's own seconds around the tenth day and at the end, as its runs record them.

    The clock above also counts what is no station: Prefect's own work, which comes in whole seconds
    where a flow waits for its heartbeat thread.
    """
    with Ledger(world.config) as ledger:
        newest = newest_runs(ledger)
    spent = [dict(newest[day].stations) for day in sorted(newest)]
    medians: dict[str, list[float]] = {}
    for name in dict.fromkeys(name for day in spent for name in day):
        taken = [day.get(name, 0.0) for day in spent]
        medians[name] = [round(median(taken[early]), 3), round(median(taken[-SPAN:]), 3)]
    return medians


def _grown(world: SmallWorld) -> dict[str, Any]:
    """What piled up."""
    with Ledger(world.config) as ledger:
        switches, decisions = len(ledger.switches()), len(ledger.decisions())
    size = sum(each.stat().st_size for each in world.config.home.rglob("*") if each.is_file())
    return {"decisions": decisions, "switches": switches, "workspace_gb": size / 1e9}


def show(figures: dict[str, Any]) -> None:
    """Print the table."""
    table(
        ["", "seconds", "GB"],
        [
            ["day 10", f"{figures['day10_seconds']:.2f}", f"{figures['day10_gb']:.2f}"],
            [
                f"day {figures['days']}",
                f"{figures['last_day_seconds']:.2f}",
                f"{figures['last_day_gb']:.2f}",
            ],
        ],
    )
    for name, (early, late) in figures["stations"].items():
        print(f"{name}: {early:.2f} s, then {late:.2f} s")
    ratio = figures["last_day_seconds"] / figures["day10_seconds"]
    print(f"{ratio:.2f} × the seconds, {figures['lost']} of {figures['days']} days lost")


if __name__ == "__main__":
    main()
