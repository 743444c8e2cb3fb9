"""A recommender of your own with large tables: peak memory of taking it up, drift and fine-tuning.

20 million rows of 64 numbers (5 GB) below a small tower, with random weights; 16 domains are
measured, fine-tuned, judged and scored in one process. What a step touches of the weights' file
counts as its memory.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import torch
import yaml
from safetensors.torch import save_file
from torch import Tensor, nn

from benchmarks.common import ROOT, finish, options, say, table
from benchmarks.small_world import SmallWorld
from driftune.models.recommender import EncodedRows, Recommender, Schema

WIDTH = 64
T = TypeVar("T")


class LargeModel(Recommender):
    """Vectors of the numbers in the ids of users and items, and a tower over both."""

    def __init__(self, ids: int) -> None:
        super().__init__()
        self.ids = ids
        self.table = nn.Embedding(ids, WIDTH)
        self.tower = nn.Sequential(nn.Linear(2 * WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 2))

    def inputs(self, rows: EncodedRows) -> tuple[Tensor, Tensor]:
        """See ``Recommender.inputs``: places in the table, (rows,) each."""
        return self._places(rows.table["user"], 1), self._places(rows.table["item"], 7919)

    def forward(self, user: Tensor, item: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of pCTR and pCVR, (rows,) each."""
        both = self.tower(torch.cat([self.table(user), self.table(item)], dim=1))
        return both[:, 0], both[:, 1]

    def _places(self, column: pa.ChunkedArray, factor: int) -> Tensor:
        numbers = pc.utf8_slice_codeunits(column, 1).cast(pa.int64()).to_numpy()
        return torch.from_numpy(numbers * 9973 * factor % self.ids)


def make(_: Schema, ids: int) -> LargeModel:
    """The factory that params.yaml names."""
    return LargeModel(ids)


def main() -> None:
    """Run the benchmark."""
    parser = options(__doc__ or "")
    parser.add_argument("--ids", type=int, default=20_000_000, help="rows of the table")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        _work(SmallWorld(given.inside, rows=16_000, scenes=4, regions=4))
        return
    ids = 2_000_000 if given.quick else given.ids
    with tempfile.TemporaryDirectory() as folder:
        world = SmallWorld(Path(folder), rows=16_000, scenes=4, regions=4).make()
        megabytes = _write_model(world, ids) / 2**20
        say(f"weights: {megabytes:,.0f} MB")
        command = [sys.executable, "-m", "benchmarks.large_model", "--inside", folder]
        done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    steps = json.loads(done.stdout.splitlines()[-1])
    table(
        ["step", "seconds", "peak MB", "of the weights"],
        [[s["step"], s["seconds"], s["peak_mb"], f"{s['peak_mb'] / megabytes:.2f}"] for s in steps],
    )
    peak = max(step["peak_mb"] for step in steps)
    finish(
        {
            "benchmark": "large_model",
            "weights_mb": round(megabytes),
            "steps": steps,
            "peak_share": round(peak / megabytes, 3),
        }
    )


def _write_model(world: SmallWorld, ids: int) -> int:
    """Write weights and params.yaml; returns the bytes of the weights."""
    torch.manual_seed(0)
    weights = world.root / "large.safetensors"
    save_file(LargeModel(ids).state_dict(), weights)
    params = yaml.safe_load(world.params.read_text(encoding="utf-8"))
    params["recommender"] = {
        "factory": "benchmarks.large_model:make",
        "weights": weights.name,
        "options": {"ids": ids},
        "columns": ["user", "item"],
    }
    params["adapter"]["at"] = "auto"
    world.params.write_text(yaml.safe_dump(params), encoding="utf-8")
    return weights.stat().st_size


def _work(world: SmallWorld) -> None:
    """All steps in this process; prints their seconds and peaks as JSON."""
    from driftune.adaptation.adapt import adapt
    from driftune.intake.ingest import ingest
    from driftune.policies.rules import drifted_domains
    from driftune.project import Project
    from driftune.registry.by_hand import ask
    from driftune.training.pretrain import pretrain

    found: list[dict[str, str | float]] = []

    def step(name: str, work: Callable[[], T]) -> T:
        Path("/proc/self/clear_refs").write_text("5")
        started = time.perf_counter()
        value = work()
        seconds = round(time.perf_counter() - started, 1)
        found.append({"step": name, "seconds": seconds, "peak_mb": _peak()})
        return value

    with Project(world.config, mirrored=False) as project:
        config, ledger = project.config, project.ledger
        step("taken up", lambda: pretrain(config, ledger))
        for number in range(2):
            day = world.day(number)
            world.write(number)
            ingest(config, ledger, day)
            step(f"drift of day {number + 1}", partial(drifted_domains, config, ledger, day))
        domains = sorted(each.domain for each in ledger.decisions())
        for number, domain in enumerate(dict.fromkeys(domains)):
            decision = ask(ledger, domain, "benchmark", "to measure memory")
            step(f"domain {number + 1}", partial(adapt, project, decision.id))
    print(json.dumps([*found[:3], max(found[3:], key=lambda each: float(each["peak_mb"]))]))


def _peak() -> int:
    """The process's largest resident memory (MB) since it was last reset."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) // 1024
    raise OSError("no VmHWM in /proc/self/status; this benchmark needs Linux")


if __name__ == "__main__":
    main()
