"""Mixed-batch scoring: many domains' adapters over one stream, on a large frozen backbone.

Relative to the frozen backbone alone, and to the loop that sends each domain's rows through the
whole model. The two or three ways take turns, batch by batch, in one run: alone, and while another
process keeps one core busy.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import torch
from torch import Tensor

from benchmarks.common import finish, options, table, there, with_device
from benchmarks.large import QUICK, Large, Shape, draw_ids, zipf
from driftune.models.adapters import AdaptedModel, AdapterBank, IAKConfig, attach
from driftune.training.devices import name_of

PLACE = "mlp.1"
KERNEL = IAKConfig(bottleneck=12, hidden=16)
LOOP_ROUNDS = 3


def main() -> None:
    """Run the benchmark."""
    given = with_device(options(__doc__ or "")).parse_args()
    device = there(given.device)
    shape, rows, rounds = (QUICK, 2048, 5) if given.quick else (Shape(), 8192, 9)
    torch.manual_seed(0)
    model = Large(shape).to(device).eval().requires_grad_(False)
    ids = draw_ids(shape, rows).to(device)
    names = [f"d{n}" for n in range(64 if given.quick else 1000)]
    bank = _bank(model, ids, names)
    found: dict[str, dict[str, Any]] = {"by_domains": {}, "loaded": {}}
    with torch.inference_mode():
        for domains in [count for count in (1, 16, 64, 1000) if count <= len(names)]:
            for machine, figures in found.items():
                with _one_core_busy(machine == "loaded"):
                    figures[str(domains)] = _measure(model, ids, bank, names[:domains], rounds)
    size = sum(each.numel() for each in model.parameters())
    print(f"{size:,} backbone parameters, batches of {rows:,} rows, kernels at {PLACE}")
    for title, machine in (("idle", "by_domains"), ("one core busy", "loaded")):
        head = [f"{title}: domains", "vs frozen", "loop vs bank", "bytes per domain", "frozen ms"]
        table(head, [_line(domains, figures) for domains, figures in found[machine].items()])
    finish({"benchmark": "scoring", "device": name_of(device), "rows": rows, **found})


def _bank(model: Large, ids: Tensor, names: list[str]) -> AdapterBank:
    """Adapters as a service has them: loaded, and no longer trained."""
    bank = AdapterBank()
    with attach(model, KERNEL, PLACE, names) as adapted:
        adapted.build(ids[:8])
        for name in names:
            bank.load(name, adapted.adapter(name))
    return bank


@contextmanager
def _one_core_busy(wanted: bool) -> Iterator[None]:
    """Another process that computes all the time, where it is wanted."""
    if not wanted:
        yield
        return
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        other.kill()
        other.wait()


def _line(domains: str, figures: dict[str, Any]) -> list[object]:
    return [
        domains,
        f"{figures['vs_frozen']:.3f}",
        f"{figures['loop_vs_bank']:.2f}",
        f"{figures['bytes_per_domain']:,}",
        f"{figures['frozen_ms']:.0f}",
    ]


def _measure(
    model: Large, ids: Tensor, bank: AdapterBank, names: list[str], rounds: int
) -> dict[str, Any]:
    slots = bank.slots(names)[zipf(len(ids), len(names))]
    with attach(model, bank, PLACE) as adapted:
        ways: dict[str, Callable[[], object]] = {
            "frozen": lambda: model(ids),
            "bank": lambda: adapted(slots, ids),
            "loop": lambda: _loop(adapted, slots, ids),
        }
        torch.testing.assert_close(ways["bank"](), ways["loop"](), rtol=1e-3, atol=1e-4)
        taken = _alternate(ways, rounds, ids.device)
    own = bank.adapter(names[0]).state_dict().values()
    return {
        "vs_frozen": _ratio(taken["bank"], taken["frozen"]),
        "loop_vs_bank": _ratio(taken["loop"], taken["bank"]),
        "bytes_per_domain": sum(each.numel() * each.element_size() for each in own),
        "frozen_ms": 1000 * median(taken["frozen"]),
        "domains_in_batch": len(slots.unique()),
    }


def _ratio(seconds: list[float], of: list[float]) -> float:
    """Median of the ratios within a round: what runs beside it changes from round to round."""
    return median(one / other for one, other in zip(seconds, of, strict=False))


def _loop(adapted: AdaptedModel, slots: Tensor, ids: Tensor) -> Tensor:
    """Each domain's rows through the whole model, one domain after the other."""
    result = torch.empty(len(ids), device=ids.device)
    for slot in slots.unique().tolist():
        rows = torch.nonzero(slots == slot).squeeze(1)
        places = rows.to(ids.device)
        result[places] = adapted(slots[rows], ids[places])
    return result


def _alternate(
    ways: dict[str, Callable[[], object]], rounds: int, device: torch.device
) -> dict[str, list[float]]:
    """Seconds of each way by round, taking turns; the loop, by far the slowest, in three rounds."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        for name, way in ways.items():
            if name == "loop" and number >= LOOP_ROUNDS:
                continue
            started = time.perf_counter()
            way()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            taken[name].append(time.perf_counter() - started)
    return taken


if __name__ == "__main__":
    main()
