"""Mixed-batch scoring: many domains' adapters over one stream, on a large frozen backbone.

Relative to the frozen backbone alone, and to the loop that sends each domain's rows through the
whole model. The two or three ways take turns, batch by batch, in one run.
"""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks.common import finish, options, table, there, with_device
from benchmarks.large import QUICK, Large, Shape, draw_ids, zipf
from driftune.models.adapters import AdaptedModel, IAKConfig, attach
from driftune.training.devices import name_of

PLACE = "mlp.1"
KERNEL = IAKConfig(bottleneck=12, hidden=16)


def main() -> None:
    """Run the benchmark."""
    given = with_device(options(__doc__ or "")).parse_args()
    device = there(given.device)
    shape, rows, rounds = (QUICK, 2048, 5) if given.quick else (Shape(), 8192, 9)
    torch.manual_seed(0)
    model = Large(shape).to(device).eval().requires_grad_(False)
    ids = draw_ids(shape, rows).to(device)
    found: dict[str, Any] = {}
    lines = []
    with torch.inference_mode():
        for domains in (1, 16, 64) if given.quick else (1, 16, 64, 1000):
            figures = _measure(model, ids, domains, rounds)
            found[str(domains)] = figures
            lines.append(
                [
                    domains,
                    f"{figures['vs_frozen']:.3f}",
                    f"{figures['loop_vs_bank']:.2f}",
                    f"{figures['bytes_per_domain']:,}",
                    f"{figures['frozen_ms']:.0f}",
                ]
            )
    size = sum(each.numel() for each in model.parameters())
    print(f"{size:,} backbone parameters, batches of {rows:,} rows, kernels at {PLACE}")
    table(["domains", "vs frozen", "loop vs bank", "bytes per domain", "frozen ms"], lines)
    finish({"benchmark": "scoring", "device": name_of(device), "rows": rows, "by_domains": found})


def _measure(model: Large, ids: Tensor, domains: int, rounds: int) -> dict[str, Any]:
    names = [f"d{n}" for n in range(domains)]
    with attach(model, KERNEL, PLACE, names) as adapted:
        adapted.build(ids[:8])
        mix = zipf(len(ids), domains)
        slots = adapted.slots(names)[mix]
        ways: dict[str, Callable[[], object]] = {
            "frozen": lambda: model(ids),
            "bank": lambda: adapted(slots, ids),
            "loop": lambda: _loop(adapted, slots, ids),
        }
        torch.testing.assert_close(ways["bank"](), ways["loop"](), rtol=1e-3, atol=1e-4)
        seconds = _alternate(ways, rounds, ids.device)
        own = adapted.adapter("d0").state_dict().values()
        return {
            "vs_frozen": seconds["bank"] / seconds["frozen"],
            "loop_vs_bank": seconds["loop"] / seconds["bank"],
            "bytes_per_domain": sum(each.numel() * each.element_size() for each in own),
            "frozen_ms": 1000 * seconds["frozen"],
            "domains_in_batch": len(slots.unique()),
        }


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
) -> dict[str, float]:
    """Median seconds of each way, taking turns after a first round that does not count."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if number:
                taken[name].append(time.perf_counter() - started)
    return {name: sorted(each)[len(each) // 2] for name, each in taken.items()}


if __name__ == "__main__":
    main()
