"""Fine-tuning speed on a large backbone: samples per second, all ways in one run.

16 domains whose sizes spread over two orders of magnitude. IAK trains all of them at once; peft's
LoRA has one adapter for each domain and trains them one after the other, with as many parameters:
at the linear layer whose output the kernel changes, as in ``benchmarks.adapters``, and
(``lora_peft_after``) at the next one, which reads the kernel's output; full fine-tuning trains
everything, the embeddings with sparse gradients. The limits: the frozen forward pass alone, and
for a place that pass plus the gradients of the activations above it. The ways take turns, an
epoch each; of the ways that keep what lies below the kernels, an epoch after it was made
(``iak_cached``), and one whole call with all that precedes the epoch (``…_call``).
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.common import finish, options, say, table, there, with_device
from benchmarks.large import QUICK, Large, Shape, draw_ids
from driftune.models.adapters import Examples, IAKConfig, TrainConfig, attach, click_rows, train
from driftune.models.adapters.split import split
from driftune.training.devices import name_of

PLACE, INPUT, LAST = "mlp.1", "representation", "mlp.5"
KERNEL = IAKConfig(bottleneck=12, hidden=16)
KEPT = 8 << 30
DOMAINS = 16
NAMES = [f"d{n}" for n in range(DOMAINS)]


def main() -> None:
    """Run the benchmark."""
    parser = with_device(options(__doc__ or ""))
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    given = parser.parse_args()
    shape, total, batch, rounds = (
        (QUICK, 8192, 1024, 2) if given.quick else (Shape(), 65536, 4096, 3)
    )
    torch.manual_seed(0)
    device = there(given.device)
    runner = Runner(shape, device, given.precision, total, batch)
    ways = {
        "forward": runner.forward(),
        "iak": runner.iak(PLACE, 0),
        "iak_limit": runner.limit(PLACE),
        "lora_peft": runner.peft("mlp.0", PLACE),
        "lora_peft_after": runner.peft("mlp.2", PLACE),
        "iak_cached_place": runner.iak(PLACE, KEPT),
        "iak_cached_place_call": runner.iak(PLACE, KEPT, whole=True),
        "iak_cached": runner.iak(LAST, KEPT),
        "iak_cached_call": runner.iak(LAST, KEPT, whole=True),
        "iak_input": runner.iak(INPUT, 0),
        "iak_input_limit": runner.limit(INPUT),
        "lora_peft_input": runner.peft("mlp.0", INPUT),
        "full": runner.full(),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        for name, way in ways.items():
            seconds[name].append(way())
            say(f"round {number + 1}: {name} {total / seconds[name][-1]:,.0f} samples/s")
    speed = {name: total / sorted(each)[len(each) // 2] for name, each in seconds.items()}
    size = sum(each.numel() for each in runner.model.parameters())
    print(f"{size:,} backbone parameters, {total:,} rows, {batch:,} rows in a step")
    lines = [
        [name, f"{each:,.0f}", f"{each / speed['forward']:.2f}", f"{each / speed['full']:.2f}"]
        for name, each in speed.items()
    ]
    table(["way", "samples/s", "of forward", "of full"], lines)
    finish(
        {
            "benchmark": "finetune_speed",
            "place": PLACE,
            "device": name_of(device),
            "precision": given.precision,
            "backbone_params": size,
            **speed,
        }
    )


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


class Runner:
    """The ways to pass the same rows once, on one device; each call returns its seconds."""

    def __init__(
        self, shape: Shape, device: torch.device, precision: str, total: int, batch: int
    ) -> None:
        self.shape, self.device, self.precision, self.batch = shape, device, precision, batch
        drawn = _data(shape, total)
        self.domains = drawn.domains
        self.data = Examples(
            tuple(each.to(device) for each in drawn.inputs),
            tuple(each.to(device) for each in drawn.labels),
            drawn.domains.to(device),
        )
        self.model = Large(shape).to(device).eval().requires_grad_(False)

    def forward(self) -> Callable[[], float]:
        """The frozen model alone."""

        @torch.no_grad()
        def way() -> float:
            started = self._now()
            with self._autocast():
                for part in self.data.inputs[0].split(self.batch):
                    self.model(part)
            return self._now() - started

        return way

    def iak(self, place: str, cache: int, whole: bool = False) -> Callable[[], float]:
        """An epoch of IAK, or the ``whole`` call: scales, what is kept, and the epoch."""
        config = TrainConfig(
            epochs=1,
            batch_size=_largest(self.data, self.batch),
            min_batch=16,
            cache_bytes=cache,
            precision=self.precision,
        )

        def way() -> float:
            with attach(self.model, KERNEL, place, NAMES) as adapted:
                started = self._now()
                training = train(adapted, self.data, None, config, loss=click_rows)
                return self._now() - started if whole else training.epoch_seconds[0]

        return way

    def limit(self, place: str) -> Callable[[], float]:
        """The forward pass, and the gradients of the activations above the place."""

        def way() -> float:
            few = self.data.inputs[0][:64]
            with attach(self.model, KERNEL, place, NAMES) as adapted:
                adapted.build(few)
                below, above, problem, _ = split(adapted, (few,))
                assert problem is None
                started = self._now()
                for part, clicks in self._batches():
                    with torch.no_grad(), self._autocast():
                        (hidden,) = below(part)
                    hidden.requires_grad_(True)
                    with self._autocast():
                        logit = above(_leave, hidden)
                        assert isinstance(logit, Tensor)
                        loss = click_rows(logit, (clicks,)).mean()
                    loss.backward()
                return self._now() - started

        return way

    def peft(self, target: str, place: str) -> Callable[[], float]:
        """LoRA of the peft library at the linear layer ``target``, a domain after the other.

        Its rank gives as many parameters as the kernel at ``place`` has.
        """
        from peft import LoraConfig, inject_adapter_in_model

        def way() -> float:
            with attach(self.model, KERNEL, place, NAMES[:1]) as adapted:
                adapted.build(self.data.inputs[0][:8])
                wanted = sum(each.numel() for each in adapted.adapter("d0").parameters())
            layer = self.model.get_submodule(target)
            assert isinstance(layer, torch.nn.Linear)
            rank = round(wanted / (layer.in_features + layer.out_features))
            other = Large(Shape(fields=1, ids=1))
            other.representation = self.model.representation
            other.mlp = torch.nn.Sequential(*self.model.mlp)
            for name in NAMES:
                settings = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=[target])
                inject_adapter_in_model(settings, other, adapter_name=name)
            other.to(self.device)
            tuned = cast(Any, dict(other.named_modules())[target])
            own = {
                name: [each for key, each in other.named_parameters() if f".{name}." in key]
                for name in NAMES
            }
            optimisers = {name: torch.optim.AdamW(each, fused=True) for name, each in own.items()}
            batches = [
                (name, part.to(self.device))
                for n, name in enumerate(NAMES)
                for part in torch.nonzero(self.domains == n).squeeze(1).split(self.batch)
            ]
            started = self._now()
            for name, rows in batches:
                tuned.set_adapter(name)
                with self._autocast():
                    loss = functional.binary_cross_entropy_with_logits(
                        other(self.data.inputs[0].index_select(0, rows)),
                        self.data.labels[0][rows],
                    )
                optimisers[name].zero_grad()
                loss.backward()
                optimisers[name].step()
            return self._now() - started

        return way

    def full(self) -> Callable[[], float]:
        """Everything, the embeddings by sparse gradients and SparseAdam."""
        tuned = Large(self.shape, sparse=True).to(self.device)
        sparse = torch.optim.SparseAdam(list(tuned.representation.parameters()))
        dense = torch.optim.Adam(tuned.mlp.parameters(), fused=True)

        def way() -> float:
            started = self._now()
            for part, clicks in self._batches():
                with self._autocast():
                    loss = functional.binary_cross_entropy_with_logits(tuned(part), clicks)
                sparse.zero_grad()
                dense.zero_grad()
                loss.backward()
                sparse.step()
                dense.step()
            return self._now() - started

        return way

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        inputs, labels = self.data.inputs[0], self.data.labels[0]
        return zip(inputs.split(self.batch), labels.split(self.batch), strict=True)

    def _autocast(self) -> torch.autocast:
        half = self.precision == "bf16"
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=half)

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()


def _leave(place: str, output: Tensor, inputs: tuple[Tensor, ...]) -> Tensor:
    return output


if __name__ == "__main__":
    main()
