"""Fine-tuning speed on a large backbone: samples per second, all ways in one run.

16 domains whose sizes spread over two orders of magnitude. IAK trains all of them at once; peft's
LoRA has one adapter for each domain and trains them one after the other, with as many parameters:
at the linear layer whose output the kernel changes, as in ``benchmarks.adapters``, and
(``lora_peft_after``) at the next one, which reads the kernel's output; full fine-tuning trains
everything, the embeddings with sparse gradients. The limits: the frozen forward pass alone, and
for a place that pass plus the gradients of the activations above it. The ways take turns, an
epoch each.
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.common import finish, options, say, table
from benchmarks.large import QUICK, Large, Shape, draw_ids
from driftune.models.adapters import Examples, IAKConfig, TrainConfig, attach, click_rows, train
from driftune.models.adapters.split import split

PLACE, INPUT, LAST = "mlp.1", "representation", "mlp.5"
KERNEL = IAKConfig(bottleneck=12, hidden=16)
DOMAINS = 16
NAMES = [f"d{n}" for n in range(DOMAINS)]


def main() -> None:
    """Run the benchmark."""
    given = options(__doc__ or "").parse_args()
    shape, total, batch, rounds = (
        (QUICK, 8192, 1024, 2) if given.quick else (Shape(), 65536, 4096, 3)
    )
    torch.manual_seed(0)
    data = _data(shape, total)
    model = Large(shape).eval().requires_grad_(False)
    ways = {
        "forward": _forward(model, data, batch),
        "iak": _iak(model, data, batch, PLACE, 0),
        "iak_limit": _limit(model, data, batch, PLACE),
        "lora_peft": _peft(shape, model, data, batch, "mlp.0", PLACE),
        "lora_peft_after": _peft(shape, model, data, batch, "mlp.2", PLACE),
        "iak_cached_place": _iak(model, data, batch, PLACE, 8 << 30),
        "iak_cached": _iak(model, data, batch, LAST, 8 << 30),
        "iak_input": _iak(model, data, batch, INPUT, 0),
        "iak_input_limit": _limit(model, data, batch, INPUT),
        "lora_peft_input": _peft(shape, model, data, batch, "mlp.0", INPUT),
        "full": _full(shape, model, data, batch),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        for name, way in ways.items():
            seconds[name].append(way())
            say(f"round {number + 1}: {name} {total / seconds[name][-1]:,.0f} samples/s")
    speed = {name: total / sorted(each)[len(each) // 2] for name, each in seconds.items()}
    size = sum(each.numel() for each in model.parameters())
    print(f"{size:,} backbone parameters, {total:,} rows, {batch:,} rows in a step")
    lines = [
        [name, f"{each:,.0f}", f"{each / speed['forward']:.2f}", f"{each / speed['full']:.2f}"]
        for name, each in speed.items()
    ]
    table(["way", "samples/s", "of forward", "of full"], lines)
    finish({"benchmark": "finetune_speed", "place": PLACE, "backbone_params": size, **speed})


def _data(shape: Shape, total: int) -> Examples:
    """Rows of 16 domains, shuffled; the largest has a hundred times the rows of the smallest."""
    shares = torch.logspace(0, -2, DOMAINS)
    counts = (shares / shares.sum() * total).long()
    counts[0] += total - int(counts.sum())
    generator = torch.Generator().manual_seed(1)
    domains = torch.repeat_interleave(torch.arange(DOMAINS), counts)
    domains = domains[torch.randperm(total, generator=generator)]
    clicks = (torch.rand(total, generator=generator) < 0.2).float()
    return Examples((draw_ids(shape, total),), (clicks,), domains)


def _largest(data: Examples, batch: int) -> int:
    """The largest domain's batch with which a step has ``batch`` rows on average."""
    return round(batch * int((data.domains == 0).sum()) / len(data))


def _forward(model: Large, data: Examples, batch: int) -> Callable[[], float]:
    @torch.no_grad()
    def way() -> float:
        started = time.perf_counter()
        for part in data.inputs[0].split(batch):
            model(part)
        return time.perf_counter() - started

    return way


def _iak(model: Large, data: Examples, batch: int, place: str, cache: int) -> Callable[[], float]:
    config = TrainConfig(
        epochs=1, batch_size=_largest(data, batch), min_batch=16, cache_bytes=cache
    )

    def way() -> float:
        with attach(model, KERNEL, place, NAMES) as adapted:
            return train(adapted, data, None, config, loss=click_rows).epoch_seconds[0]

    return way


def _limit(model: Large, data: Examples, batch: int, place: str) -> Callable[[], float]:
    def way() -> float:
        with attach(model, KERNEL, place, NAMES) as adapted:
            adapted.build(data.inputs[0][:64])
            below, above, problem = split(adapted, (data.inputs[0][:64],))
            assert problem is None
            started = time.perf_counter()
            for part, clicks in zip(
                data.inputs[0].split(batch), data.labels[0].split(batch), strict=True
            ):
                with torch.no_grad():
                    (hidden,) = below(part)
                hidden.requires_grad_(True)
                click_rows(above(_leave, hidden), (clicks,)).mean().backward()
            return time.perf_counter() - started

    return way


def _leave(place: str, output: Tensor, inputs: tuple[Tensor, ...]) -> Tensor:
    return output


def _peft(
    shape: Shape, model: Large, data: Examples, batch: int, target: str, place: str
) -> Callable[[], float]:
    from peft import LoraConfig, inject_adapter_in_model

    def way() -> float:
        with attach(model, KERNEL, place, NAMES[:1]) as adapted:
            adapted.build(data.inputs[0][:8])
            wanted = sum(each.numel() for each in adapted.adapter("d0").parameters())
        layer = model.get_submodule(target)
        assert isinstance(layer, torch.nn.Linear)
        rank = round(wanted / (layer.in_features + layer.out_features))
        other = Large(Shape(fields=1, ids=1))
        other.representation = model.representation
        other.mlp = torch.nn.Sequential(*model.mlp)
        for name in NAMES:
            settings = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=[target])
            inject_adapter_in_model(settings, other, adapter_name=name)
        tuned = dict(other.named_modules())[target]
        own = {
            name: [each for key, each in other.named_parameters() if f".{name}." in key]
            for name in NAMES
        }
        optimisers = {name: torch.optim.AdamW(each) for name, each in own.items()}
        batches = [
            (name, part)
            for n, name in enumerate(NAMES)
            for part in torch.nonzero(data.domains == n).squeeze(1).split(batch)
        ]
        started = time.perf_counter()
        for name, rows in batches:
            tuned.set_adapter(name)  # type: ignore[operator]
            loss = functional.binary_cross_entropy_with_logits(
                other(data.inputs[0][rows]), data.labels[0][rows]
            )
            optimisers[name].zero_grad()
            loss.backward()
            optimisers[name].step()
        return time.perf_counter() - started

    return way


def _full(shape: Shape, model: Large, data: Examples, batch: int) -> Callable[[], float]:
    tuned = Large(shape, sparse=True)
    tables = list(tuned.representation.parameters())
    sparse = torch.optim.SparseAdam(tables)
    dense = torch.optim.Adam(tuned.mlp.parameters())

    def way() -> float:
        started = time.perf_counter()
        for part, clicks in zip(
            data.inputs[0].split(batch), data.labels[0].split(batch), strict=True
        ):
            loss = functional.binary_cross_entropy_with_logits(tuned(part), clicks)
            sparse.zero_grad()
            dense.zero_grad()
            loss.backward()
            sparse.step()
            dense.step()
        return time.perf_counter() - started

    return way


if __name__ == "__main__":
    main()
