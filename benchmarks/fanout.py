"""A hundred domains' adaptations: threads, processes, Ray, one batched training, and the loop's.

Each domain has its rows, and its kernels are trained as an adaptation trains them: every β from the
same start, epochs chosen by the selection rows. Threads, processes and Ray take domain after
domain, as many at once as there are cores, each with a model of its own as ``finetune`` loads it;
the batched way trains all kernels over one frozen forward pass on one core. ``batched_loop`` is
what a day does with its drifted domains: side by side in stacks, each with checkpoints after its
epochs, on a thread per core of this process; ``cpu`` has the seconds of processor time of the ways
that stay in it. PyTorch has one thread
everywhere: its steps are too small to share. Starting workers and what they import counts, starting
Ray's cluster does not: it stands when a flow begins.
"""

import logging
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import finish, options, say, table
from driftune.models.adapters import (
    AdaptedModel,
    AdapterBank,
    Choice,
    Examples,
    IAKConfig,
    TrainConfig,
    attach,
    choose_beta,
    choose_together,
)
from driftune.models.adapters.draws import SeededWeights
from driftune.models.esmm import ESMM
from driftune.no_telemetry import QUIET, silence
from driftune.training.threads import one_thread

AT = ("click_tower.1", "convert_tower.1")
KERNEL = IAKConfig(bottleneck=12, hidden=16)
BETAS = (0.0, 1e-3)
SIZES = (20_000, 2_000, 100, 24, 500)
NUMBERS = 12


@dataclass(frozen=True)
class Work:
    """How many domains there are, and the rows and epochs of each."""

    domains: int = 100
    rows: int = 2000
    select: int = 400
    epochs: int = 8

    @property
    def names(self) -> list[str]:
        """The domains' names."""
        return [f"d{number}" for number in range(self.domains)]

    @property
    def config(self) -> TrainConfig:
        """As params.yaml has it."""
        return TrainConfig(epochs=self.epochs, patience=self.epochs, batch_size=256, min_batch=256)


Losses = dict[str, float]
Way = Callable[[Work, int], Losses]


def main() -> None:
    """Run the benchmark."""
    parser = options(__doc__ or "")
    cores = os.cpu_count() or 1
    parser.add_argument("--workers", type=int, default=cores, help="domains at once")
    given = parser.parse_args()
    work = Work(10, 600, 200, 3) if given.quick else Work()
    ways: dict[str, Way] = {"threads": threads, "processes": processes}
    stop = start_ray(given.workers)
    if stop is not None:
        ways["ray"] = on_ray
    try:
        figures = measure(
            work, {**ways, "batched": batched, "batched_loop": batched_loop}, given.workers
        )
    finally:
        if stop is not None:
            stop()
    show(figures)
    finish({"benchmark": "fanout", "ray": None, **figures})


def measure(work: Work, ways: dict[str, Way], workers: int) -> dict[str, Any]:
    """Seconds of each way, and how far its selection losses are from the first one's at most."""
    seconds, cpu, differences, first = {}, {}, {}, None
    for name, way in ways.items():
        say(f"{name} …")
        started, busy = time.perf_counter(), time.process_time()
        losses = way(work, workers)
        seconds[name] = time.perf_counter() - started
        cpu[name] = time.process_time() - busy
        first = losses if first is None else first
        differences[name] = max(abs(losses[each] - first[each]) for each in work.names)
    figures = {"domains": work.domains, "rows": work.rows, "workers": workers}
    return {**figures, **seconds, "cpu": cpu, "loss_differences": differences}


def show(figures: dict[str, Any]) -> None:
    """Print the table."""
    differences = figures["loss_differences"]
    print(f"{figures['domains']} domains of {figures['rows']:,} rows, {figures['workers']} at once")
    lines = [
        [name, f"{figures[name]:.1f}", f"{figures[name] / figures['batched']:.1f}", f"{each:.1e}"]
        for name, each in differences.items()
    ]
    table(["way", "seconds", "of batched", "selection loss apart"], lines)


def examples(work: Work, name: str, slot: int) -> tuple[Examples, Examples]:
    """A domain's training and selection rows."""
    random = torch.Generator().manual_seed(int(name[1:]))
    total = work.rows + work.select
    ids = torch.stack([torch.randint(0, size, (total,), generator=random) for size in SIZES], dim=1)
    numbers = torch.randn(total, NUMBERS, generator=random)
    taste = torch.randn(NUMBERS, generator=random)
    click = (torch.rand(total, generator=random) < torch.sigmoid(numbers @ taste - 1)).float()
    convert = click * (torch.rand(total, generator=random) < 0.3).float()
    slots = torch.full((total,), slot, dtype=torch.long)
    return Examples((ids, numbers), (click, convert), slots).split(work.rows)


def trained(work: Work, names: Sequence[str]) -> Losses:
    """Train the domains' kernels together; returns the selection loss that each ends with."""
    with SeededWeights(0):
        model = ESMM(SIZES, NUMBERS, 8, [128, 64]).eval()
    with attach(model, KERNEL, AT, names) as adapted:
        slots = [int(adapted.slots([name])) for name in names]
        parts = [examples(work, *each) for each in zip(names, slots, strict=True)]
        older, newest = (_joined(each) for each in zip(*parts, strict=True))
        training = choose_beta(adapted, older, newest, work.config, BETAS)
    return {
        name: report.select_loss[report.best_epoch] for name, report in training.domains.items()
    }


def one(work: Work, name: str) -> Losses:
    """One domain's adaptation, as a worker does it."""
    with one_thread():
        return trained(work, [name])


def threads(work: Work, workers: int) -> Losses:
    """Domains on threads of this process."""
    with one_thread(), ThreadPoolExecutor(workers) as pool:
        return _merged(pool.map(partial(one, work), work.names))


def processes(work: Work, workers: int) -> Losses:
    """Domains on new processes."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn) as pool:
        return _merged(pool.map(partial(one, work), work.names))


def start_ray(workers: int) -> Callable[[], None] | None:
    """Start a cluster of this machine; returns what stops it, None without Ray."""
    silence()
    try:
        import ray
    except ImportError:
        say("ray is not installed; pip install -c constraints.txt -e '.[ray]'")
        return None
    quiet = {"env_vars": {name: os.environ[name] for name in QUIET}}
    ray.init(
        address="local",
        num_cpus=workers,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        object_store_memory=100 * 2**20,
        runtime_env=quiet,
    )
    return ray.shutdown


def on_ray(work: Work, workers: int) -> Losses:
    """Domains as Ray's tasks, a CPU each; the cluster has ``workers`` of them."""
    import ray

    task = ray.remote(num_cpus=1)(one)
    return _merged(ray.get([task.remote(work, name) for name in work.names]))


def batched(work: Work, workers: int) -> Losses:
    """All domains in one training, on one core however many ``workers``."""
    with one_thread():
        return trained(work, work.names)


def batched_loop(work: Work, workers: int) -> Losses:
    """All domains side by side as the daily loop trains them."""
    with one_thread(), tempfile.TemporaryDirectory() as folder:
        with SeededWeights(0):
            model = ESMM(SIZES, NUMBERS, 8, [128, 64]).eval()
        with attach(model, AdapterBank(), AT) as adapted:
            choices = [_choice(adapted, work, name, Path(folder)) for name in work.names]
            found = choose_together(adapted, choices, workers)
    losses = {}
    for name, outcome in zip(work.names, found, strict=True):
        if isinstance(outcome, Exception):
            raise outcome
        losses[name] = outcome.report.select_loss[outcome.report.best_epoch]
    return losses


def _choice(adapted: AdaptedModel, work: Work, name: str, folder: Path) -> Choice:
    older, newest = examples(work, name, 0)
    adapted.add(name, KERNEL)
    adapted.build(*(each[:64] for each in older.inputs))
    start = adapted.adapter(name)
    adapted.unload(name)
    return Choice(name, start, older, [0], newest, BETAS, work.config, folder / name)


def _merged(parts: Any) -> Losses:
    return {name: loss for part in parts for name, loss in part.items()}


def _joined(parts: Sequence[Examples]) -> Examples:
    return Examples(
        tuple(torch.cat(each) for each in zip(*(part.inputs for part in parts), strict=True)),
        tuple(torch.cat(each) for each in zip(*(part.labels for part in parts), strict=True)),
        torch.cat([part.domains for part in parts]),
    )


if __name__ == "__main__":
    main()
