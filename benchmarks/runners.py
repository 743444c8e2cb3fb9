"""A day on which many domains drift, by the daily flow: adapted on threads, and on processes.

80 domains of 4,000 rows a day, of which 20 drift at once, with kernels as params.yaml has them.
Each runner has a copy of one workspace; adapting is timed by the run's own station, with what it
takes to start workers.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import yaml

from benchmarks.common import finish, options, say, table
from benchmarks.overhead import decided
from benchmarks.small_world import SmallWorld, prefect_server
from driftune.no_telemetry import silence
from driftune.registry.ledger import Ledger
from driftune.registry.runs import newest_runs

KINDS = ("threads", "processes")


def main() -> None:
    """Run the benchmark."""
    given = options(__doc__ or "").parse_args()
    silence()
    scenes, rows = (2, 400) if given.quick else (16, 4000)
    with tempfile.TemporaryDirectory() as folder, prefect_server(Path(folder) / "prefect"):
        figures = compare(Path(folder), scenes=scenes, rows=rows)
    show(figures)
    finish({"benchmark": "runners", **figures})


def compare(folder: Path, scenes: int, rows: int) -> dict[str, Any]:
    """Seconds of adapting on each runner with ``rows`` a domain; whether both decided alike."""
    from flows.daily import daily

    domains = scenes * SmallWorld.regions
    shape = {"rows": rows * domains, "turn_days": 1, "scenes": scenes}
    first = SmallWorld(folder / "first", **shape).make()
    change(first, adapter={"epochs": 12, "hidden": 16, "bottleneck": 12})
    first.write(0)
    # Pre-trains, and finds no domain changed yet.
    daily(first.day(0), str(first.params))
    number = domains // 4
    figures: dict[str, Any] = {"domains": domains, "drifted": number}
    worlds = []
    for kind in KINDS:
        shutil.copytree(first.root, folder / kind)
        world = SmallWorld(folder / kind, **shape)
        change(world, runner={"kind": kind})
        world.write(number)
        daily(world.day(number), str(world.params))
        figures[kind] = spent(world, number)
        say(f"{kind}: {figures[kind]:.1f} s")
        worlds.append(world)
    return {**figures, "same": decided(worlds[0]) == decided(worlds[1])}


def change(world: SmallWorld, **sections: dict[str, Any]) -> None:
    """Change sections of the world's params.yaml."""
    params = yaml.safe_load(world.params.read_text(encoding="utf-8"))
    changed = {name: {**params[name], **values} for name, values in sections.items()}
    world.params.write_text(yaml.safe_dump({**params, **changed}), encoding="utf-8")


def spent(world: SmallWorld, number: int) -> float:
    """The day's seconds of adapting."""
    with Ledger(world.config) as ledger:
        return float(dict(newest_runs(ledger)[world.day(number).isoformat()].stations)["adapt"])


def show(figures: dict[str, Any]) -> None:
    """Print the table."""
    table(["runner", "adapt, s"], [[kind, f"{figures[kind]:.1f}"] for kind in KINDS])
    alike = "alike" if figures["same"] else "NOT alike"
    print(f"{figures['domains']} domains, {figures['drifted']} drifted; decided {alike}")


if __name__ == "__main__":
    main()
