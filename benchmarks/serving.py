"""Scores from a bundle: how long they take beside the frozen model, and what a hot swap does.

A project of 64 domains with an adapter each. Times are medians in this process with one thread of
torch; batches are scored on every core, as ``driftune score`` does. ``p50_100_vs_frozen``: 100 rows
through the scorer, beside the frozen model on ready tensors plus the look-up of features. While two
threads score, the manifest changes again and again; each answer must be that of one of both
manifests, bit for bit.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import yaml

from benchmarks.common import finish, options, say
from benchmarks.small_world import SmallWorld
from driftune.domains import domain_key
from driftune.intake.ingest import ensure_reference
from driftune.io import read_json
from driftune.models.adapters import Adapter, IAKConfig, IAKKernel, save_adapter
from driftune.no_telemetry import silence
from driftune.project import Project
from driftune.registry.ledger import Ledger
from driftune.serving import Scorer
from driftune.serving.export import export
from driftune.serving.files import score_file
from driftune.serving.manifest import NAME, write_manifest
from driftune.serving.parts import put
from driftune.training.pretrain import pretrain

PLACES = ("click_tower.1", "convert_tower.1")
# The peak of the process itself: what getrusage tells begins with that of the one that started it.
ALONE = (
    "import re, sys, time; started = time.perf_counter(); "
    "from driftune.serving import Scorer; imported = time.perf_counter(); "
    "scorer = Scorer.open(sys.argv[1]); opened = time.perf_counter(); "
    "import pyarrow.parquet as pq; scorer.score(pq.read_table(sys.argv[2]).slice(0, 1000)); "
    "print(imported - started, opened - imported, "
    "int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) / 1024)"
)


def main() -> None:
    """Run the benchmark."""
    given = options(__doc__ or "").parse_args()
    silence()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), quick=given.quick)
    for name, value in figures.items():
        say(f"{name}: {value}")
    finish({"benchmark": "serving", **figures})


def measure(folder: Path, *, quick: bool) -> dict[str, Any]:
    """All figures."""
    world, bundle = make(folder / "project"), folder / "bundle"
    with Project(world.config) as project:
        export(project, bundle)
        said = read_json(bundle / NAME)
    names = [f"scene{n // 8} · region{n % 8}" for n in range(64)]
    states = [with_adapters(bundle, said, names, seed) for seed in (1, 2)]
    rows = pq.read_table(world.write(0)).drop_columns(["click", "ordered"])
    scorer, times = Scorer.open(bundle), 50 if quick else 500
    figures = speeds(scorer, rows, times)
    figures |= swapped(bundle, states, rows.slice(0, 100), 4 if quick else 20)
    logs = world.root / "logs" / f"{world.day(0)}.parquet"
    many = [*names, *(f"further {n}" for n in range(1000 - len(names)))]
    with_adapters(bundle, said, many, 1)
    figures["open_seconds_1000_domains"] = alone(bundle, logs)["open_seconds"]
    with_adapters(bundle, said, names, 1)
    figures |= alone(bundle, logs)
    figures["batch_rows_per_s"] = batches(bundle, rows, folder, 100_000 if quick else 1_000_000)
    return {**figures, "mlflow_p50_ms_100": None}


def make(root: Path) -> SmallWorld:
    """A project of 64 domains with the shipped model's layers, pre-trained."""
    world = SmallWorld(root, scenes=8, regions=8).make()
    params = yaml.safe_load(world.params.read_text(encoding="utf-8"))
    params["backbone"] |= {"hidden": [128, 64], "epochs": 1, "embedding": 8}
    world.params.write_text(yaml.safe_dump(params), encoding="utf-8")
    with Ledger(world.config) as ledger:
        ensure_reference(world.config, ledger)
        pretrain(world.config, ledger)
    return world


def with_adapters(
    bundle: Path, said: dict[str, Any], names: list[str], seed: int
) -> dict[str, Any]:
    """Give domains adapters by a manifest of its own, which is written; returns what it says."""
    parts, domains = dict(said["parts"]), {}
    with torch.random.fork_rng(), tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(seed)
        for number, name in enumerate(names):
            kernels = {place: IAKKernel(128, IAKConfig(12, 16)) for place in PLACES}
            made = save_adapter(
                Path(folder) / f"{number}", Adapter(kernels).eval(), {"backbone": said["backbone"]}
            )
            part = put(bundle, {path.name: path for path in made.iterdir()})
            key = domain_key(name)
            parts[f"adapter {key}"] = dict(part.files)
            domains[key] = {"name": name, "version": seed, "part": f"adapter {key}"}
    plain = {name: value for name, value in said.items() if name != "format"}
    state = {**plain, "parts": parts, "domains": domains}
    write_manifest(bundle, state)
    return state


def speeds(scorer: Scorer, rows: pa.Table, times: int) -> dict[str, Any]:
    """Milliseconds of batches of several sizes, of features, and of the frozen model."""
    now = scorer._now
    found: dict[str, dict[str, float]] = {"p50_ms": {}, "p99_ms": {}}
    for size in (1, 100, 1000):
        some = rows.slice(0, size)
        taken = timed(lambda some=some: scorer.score(some), times)  # type: ignore[misc]
        for name, share in (("p50_ms", 50), ("p99_ms", 99)):
            found[name][str(size)] = round(float(np.percentile(taken, share)), 3)
    some = rows.slice(0, 100)
    features = float(np.median(timed(lambda: now.encode(now.read(some)), times)))
    inputs = now.model.inputs(now.encode(now.read(some)))
    with torch.inference_mode():
        frozen = float(np.median(timed(lambda: now.model(*inputs), times)))
    ratio = found["p50_ms"]["100"] / (frozen + features)
    return {
        **found,
        "features_ms_100": round(features, 3),
        "frozen_ms_100": round(frozen, 3),
        "p50_100_vs_frozen": round(ratio, 3),
    }


def timed(call: Callable[[], object], times: int) -> list[float]:
    """Milliseconds of each call, after some that are not counted."""
    found = []
    for number in range(times + 10):
        started = time.perf_counter()
        call()
        if number >= 10:
            found.append(1e3 * (time.perf_counter() - started))
    return found


def swapped(
    bundle: Path, states: list[dict[str, Any]], rows: pa.Table, swaps: int
) -> dict[str, int]:
    """Answers that no manifest gives, and calls that failed, while the manifest changes."""
    wanted = []
    for state in states:
        write_manifest(bundle, state)
        wanted.append(Scorer.open(bundle).score(rows))
    scorer, ended = Scorer.open(bundle), threading.Event()
    counts = {"wrong": 0, "failed": 0, "answers": 0}

    def work() -> None:
        while not ended.is_set():
            try:
                answer = scorer.score(rows)
                counts["wrong"] += not any(answer.equals(each) for each in wanted)
                counts["answers"] += 1
            except Exception as error:
                say(f"failed: {error}")
                counts["failed"] += 1

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(swaps):
        write_manifest(bundle, states[number % 2])
        scorer.refresh()
        time.sleep(1)
    ended.set()
    for thread in threads:
        thread.join()
    return {**counts, "swaps": swaps}


def alone(bundle: Path, rows: Path) -> dict[str, float]:
    """Seconds to import and to open, and megabytes at most, in a process of its own."""
    command = [sys.executable, "-c", ALONE, str(bundle), str(rows)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    names = ("import_seconds", "open_seconds", "memory_mb")
    figures = [round(float(word), 2) for word in ran.stdout.split()]
    return dict(zip(names, figures, strict=True))


def batches(bundle: Path, rows: pa.Table, folder: Path, wanted: int) -> int:
    """Rows a second of a Parquet file that is read, scored and written."""
    times = -(-wanted // rows.num_rows)
    pq.write_table(pa.concat_tables([rows] * times), folder / "rows.parquet")
    # As driftune score has them: a batch on each core.
    torch.set_num_threads(os.cpu_count() or 1)
    scorer, started = Scorer.open(bundle), time.perf_counter()
    found = score_file(scorer, folder / "rows.parquet", folder / "scored.parquet")
    return round(found.scored / (time.perf_counter() - started))


if __name__ == "__main__":
    main()
