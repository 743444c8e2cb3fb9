"""What Prefect costs: a day's work through the flow, beside the same calls without it.

Twenty domains, a Prefect server beside. The day is run in two copies of one workspace: once by the
flow, once by calling what its tasks wrap in the same order. Medians of several days.
"""

import shutil
import tempfile
import time
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.common import finish, options, say, table
from benchmarks.small_world import SmallWorld, prefect_server
from driftune.adaptation.adapt import adapt
from driftune.config import Config
from driftune.lake.scratch import scratch
from driftune.no_telemetry import silence
from driftune.project import Project
from driftune.registry.ledger import Ledger
from driftune.training.threads import one_thread


def main() -> None:
    """Run the benchmark."""
    parser = options(__doc__ or "")
    parser.add_argument("--days", type=int, default=5, help="days to take the median of")
    given = parser.parse_args()
    days = 2 if given.quick else given.days
    silence()
    with tempfile.TemporaryDirectory() as folder, prefect_server(Path(folder) / "prefect"):
        figures = compare(Path(folder), days)
    show(figures)
    finish({"benchmark": "overhead", **figures})


def compare(folder: Path, days: int) -> dict[str, Any]:
    """Median seconds of a day by the flow and by plain calls, and what both did."""
    from flows.daily import daily

    flowing = SmallWorld(folder / "flow", rows=20_000, turn_days=4).make()
    # The first day also pre-trains, imports and fills caches, for both.
    flowing.write(0)
    daily(flowing.day(0), str(flowing.params))
    shutil.copytree(flowing.root, folder / "plain")
    plain = SmallWorld(folder / "plain", rows=20_000, turn_days=4)
    seconds: dict[str, list[float]] = {"flow": [], "plain": []}
    for number in range(1, days + 1):
        for name, world in (("flow", flowing), ("plain", plain)):
            world.write(number)
            day = world.day(number)
            started = time.perf_counter()
            if name == "flow":
                daily(day, str(world.params))
            else:
                plain_day(world.config, day)
            seconds[name].append(time.perf_counter() - started)
        say(f"day {number}: {seconds['flow'][-1]:.2f} s, plain {seconds['plain'][-1]:.2f} s")
    return {
        "flow_seconds": median(seconds["flow"]),
        "plain_seconds": median(seconds["plain"]),
        "domains": flowing.scenes * flowing.regions,
        "days": days,
        "same": decided(flowing) == decided(plain),
    }


def plain_day(config: Config, day: date) -> None:
    """The calls of the daily flow, in its order, one domain after the other as one_thread allows.

    ``fn`` is what a task wraps.
    """
    from tasks import adaptation, days, drift, guard, reporting

    days.prepare.fn(config)
    with scratch(config, day) as folder:
        fetched = days.fetch_day.fn(config, day, folder)
        staged = days.stage_day.fn(config, fetched, folder)
        days.commit_day.fn(config, staged, days.validate_day.fn(config, staged))
    for decision in adaptation.challengers_due.fn(config, day):
        adaptation.judge_again.fn(config, decision, day)
    guard.check.fn(config, day)
    windows = drift.draw_windows.fn(config, day)
    with one_thread():
        measured = drift.measure_domains.fn(config, "all", windows, {})
    drift.decide_day.fn(config, windows, measured)
    touched = []
    for decision in drift.open_decisions.fn(config, day):
        adapt_plainly(config, decision)
        touched.append(decision)
    drift.write_pages.fn(config, day)
    reporting.write_reports.fn(config, day, touched)


def adapt_plainly(config: Config, decision: str) -> None:
    """An adaptation without the flow around it."""
    with one_thread(), Project(config) as project:
        adapt(project, decision)


def decided(world: SmallWorld) -> list[tuple[str, str]]:
    """Every decision with its state."""
    with Ledger(world.config) as ledger:
        return [(row.id, row.state) for row in ledger.decisions()]


def show(figures: dict[str, Any]) -> None:
    """Print the table."""
    flow, plain = figures["flow_seconds"], figures["plain_seconds"]
    table(["", "seconds"], [["flow", f"{flow:.2f}"], ["plain calls", f"{plain:.2f}"]])
    print(f"Prefect: {flow - plain:+.2f} s; the same decisions: {figures['same']}")


if __name__ == "__main__":
    main()
