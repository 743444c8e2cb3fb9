"""Adapters on a device that is not the CPU, in its memory, and in bf16."""

import logging
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from driftune.models.adapters import (
    AdapterBank,
    CopyConfig,
    Examples,
    HoulsbyConfig,
    IAKConfig,
    IAKKernel,
    KernelConfig,
    LoRAConfig,
    TrainConfig,
    attach,
    choose_beta,
    gaussian_kl,
    train,
    train_pooled_first,
)
from driftune.models.adapters import devices as devices_module
from driftune.models.adapters import optimiser as optimiser_module
from driftune.models.adapters import stacks as stacks_module
from driftune.models.adapters.devices import (
    Chunk,
    DeviceMemoryError,
    bring,
    device_of,
    lacks_memory,
    say_once,
)
from driftune.models.adapters.draws import BatchDraws
from driftune.models.adapters.feeding import over_chunks
from driftune.models.adapters.run import Run
from tests.models.adapters.conftest import WIDTH, Heads
from tests.on_device import CPU, DEVICE, Device, OnDevice, on

NAMES = ["a", "b", "c"]
PLACES = ["representation", "click.1"]
CONFIG = TrainConfig(epochs=2, batch_size=64, learning_rate=1e-2, seed=3)


@pytest.fixture(autouse=True)
def _unfused(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Both devices take the same optimiser: the fused one sums in another order."""
    monkeypatch.setattr(optimiser_module, "fuses", lambda device: False)
    say_once.cache_clear()
    yield
    say_once.cache_clear()


def heads() -> Heads:
    """The same random model, every time."""
    torch.manual_seed(1)
    return Heads()


def rows(count: int, seed: int = 0, fresh: bool = False) -> Examples:
    """Rows of three domains, on the CPU."""
    draw = torch.Generator().manual_seed(seed)
    h = torch.randn(count, WIDTH, generator=draw)
    click, bought = ((torch.rand(count, generator=draw) < 0.4).float() for _ in range(2))
    ids = torch.randint(-1, 5, (count, 2), generator=draw) if fresh else None
    return Examples((h,), (click, click * bought), torch.arange(count) % 3, ids)


def trained(device: torch.device, config: KernelConfig, settings: TrainConfig = CONFIG) -> Any:
    """Adapters of three domains, trained on a device: the run and their tensors on the CPU."""
    places = ["click.0"] if isinstance(config, LoRAConfig | CopyConfig) else PLACES
    fresh = isinstance(config, IAKConfig) and config.fresh_rows > 0
    with attach(heads().to(device), config, places, NAMES, seed=5) as adapted:
        report = train(adapted, rows(300, fresh=fresh), rows(90, 1, fresh), settings)
        assert device_of(adapted.bank) == device
        return report, {name: weights(adapted.adapter(name)) for name in NAMES}


def weights(module: torch.nn.Module) -> dict[str, Tensor]:
    """A module's tensors on the CPU."""
    return {name: each.detach().cpu().clone() for name, each in module.state_dict().items()}


def same(one: dict[str, dict[str, Tensor]], other: dict[str, dict[str, Tensor]]) -> bool:
    """Whether all tensors of all domains have the same bytes."""
    return all(
        torch.equal(each, other[key][name]) for key in one for name, each in one[key].items()
    )


METHODS = [
    IAKConfig(4, 8, beta=1e-3),
    IAKConfig(4, 8, combine="replace", warm_epochs=1, fresh_rows=5),
    HoulsbyConfig(4),
    LoRAConfig(2),
    CopyConfig(),
]


@pytest.mark.parametrize(
    ("method", "cache"),
    [*((each, 1 << 30) for each in METHODS), (METHODS[1], 1 << 15), (METHODS[0], 0)],
    ids=["iak", "fresh", "houlsby", "lora", "copy", "resident", "copied"],
)
@pytest.mark.few(1)
def test_a_training_on_a_device_is_that_on_the_cpu(method: KernelConfig, cache: int) -> None:
    settings = TrainConfig(epochs=2, batch_size=64, learning_rate=1e-2, seed=3, cache_bytes=cache)
    report, wanted = trained(CPU, method, settings)
    with Device():
        found, adapters = trained(DEVICE, method, settings)
    assert same(adapters, wanted)
    assert found.domains == report.domains
    assert report.domains["a"].best_epoch > 0


@pytest.mark.parametrize(
    ("place", "method"),
    [(stacks_module, IAKConfig(4, 8, beta=1e-3)), (Run, HoulsbyConfig(4))],
    ids=["stacked", "alone"],
)
@pytest.mark.few(1)
def test_steps_do_not_wait_for_the_device(
    monkeypatch: pytest.MonkeyPatch, place: object, method: KernelConfig
) -> None:
    waits: list[dict[str, int]] = []
    epoch = vars(place)["epoch"]

    def counted(*arguments: Any) -> None:
        before = sum(device.waits.values())
        epoch(*arguments)
        waits.append({"all": sum(device.waits.values()) - before, **device.waits})

    monkeypatch.setattr(place, "epoch", counted)
    with Device() as device:
        trained(DEVICE, method)
    assert [each["all"] for each in waits] == [0, 0]


@pytest.mark.slow
@pytest.mark.ci
def test_files_of_a_device_are_those_of_the_cpu(tmp_path: Path) -> None:
    files = {}
    for device in (CPU, DEVICE):
        with on(device), attach(heads().to(device), IAKConfig(4, 8), PLACES, NAMES) as adapted:
            train(adapted, rows(300), rows(90, 1), CONFIG)
            folder = adapted.save("a", tmp_path / device.type, {})
            adapted.load("b", folder)
            assert device_of(adapted.adapter("b")) == device
            adapted(["b", "c", "a"], torch.ones(3, WIDTH).to(device))
        files[device.type] = [path.read_bytes() for path in sorted(folder.iterdir())]
    assert files["cpu"] == files["meta"]


@pytest.mark.filterwarnings("ignore:for .* copying from a non-meta parameter")
def test_a_training_goes_on_on_the_device(tmp_path: Path) -> None:
    def stop(what: str, epoch: int, most: int) -> None:
        if epoch == 1:
            raise KeyboardInterrupt

    _, wanted = trained(CPU, IAKConfig(4, 8))
    with Device():
        for progress in (stop, None):
            with attach(heads().to(DEVICE), IAKConfig(4, 8), PLACES, NAMES, seed=5) as adapted:
                try:
                    train(
                        adapted, rows(300), rows(90, 1), CONFIG,
                        checkpoint=tmp_path / "run", progress=progress,
                    )  # fmt: skip
                except KeyboardInterrupt:
                    continue
                found = {name: weights(adapted.adapter(name)) for name in NAMES}
    assert same(found, wanted)


@pytest.mark.parametrize("way", ["choose", "pooled"])
@pytest.mark.slow
@pytest.mark.ci
def test_choices_around_a_training_stay_on_the_device(way: str) -> None:
    results = []
    for device in (CPU, DEVICE):
        with on(device):
            model, once = heads().to(device), replace(CONFIG, epochs=1)
            if way == "choose":
                with attach(model, IAKConfig(4, 8), PLACES, NAMES, seed=5) as adapted:
                    choose_beta(adapted, rows(200), rows(90, 1), once, [0.0, 0.1])
                    results.append({name: weights(adapted.adapter(name)) for name in NAMES})
            else:
                with attach(model, AdapterBank(), PLACES) as adapted:
                    arguments = rows(200, fresh=True), rows(90, 1, fresh=True), once
                    train_pooled_first(adapted, *arguments, IAKConfig(4, 8, fresh_rows=5), NAMES)
                    results.append({name: weights(adapted.adapter(name)) for name in NAMES})
    assert same(*results)


@pytest.mark.parametrize("where", ["cpu", "device"])
def test_a_mixed_batch_is_served_where_the_model_is(where: str) -> None:
    _, adapters = trained(CPU, IAKConfig(4, 8))
    results = []
    for device in (CPU, DEVICE):
        with on(device):
            with attach(heads(), IAKConfig(4, 8), PLACES, NAMES) as made:
                made.build(torch.ones(2, WIDTH))
                for name in NAMES:
                    made.adapter(name).load_state_dict(adapters[name])
                bank = made.bank
            # The bank is brought to the model, which the slots need not be.
            with attach(heads().to(device), bank, PLACES) as adapted, torch.inference_mode():
                slots = torch.tensor([0, -1, 2, 0, 1])
                slots = slots.to(device) if where == "device" else slots
                h = rows(5).inputs[0].to(device)
                results.append([each.cpu() for each in adapted(slots, h)])
    assert all(map(torch.equal, *results))


def test_rows_of_the_cpu_are_served_on_the_device() -> None:
    served = []
    for device in (CPU, DEVICE):
        with on(device), attach(heads().to(device), AdapterBank(), PLACES) as adapted:
            for name in NAMES:
                adapted.add(name, IAKConfig(4, 8, "replace", fresh_rows=5), 5)
            given = rows(6, fresh=True)
            with torch.no_grad():
                found = adapted(NAMES * 2, *given.inputs, fresh=given.fresh)
                served.append([each.cpu() for each in found])
    assert all(map(torch.equal, *served))


def test_an_adapter_of_the_cpu_is_loaded_onto_the_banks_device() -> None:
    with attach(heads(), IAKConfig(4, 8, "replace"), PLACES, NAMES, seed=5) as made:
        made.build(torch.ones(2, WIDTH))
        of_cpu, wanted = made.adapter("a"), made(["a", "b"], *rows(2).inputs)
    for bank in (AdapterBank(), AdapterBank.from_adapters({"b": made.adapter("b")})):
        with Device(), attach(heads().to(DEVICE), bank, PLACES) as adapted:
            bank.load("a", of_cpu)
            bank.load("b", made.adapter("b"))
            assert device_of(bank.adapter("a")) == DEVICE
            found = adapted(["a", "b"], *rows(2).inputs)
            assert all(
                torch.equal(one.cpu(), each) for one, each in zip(found, wanted, strict=True)
            )
            adapted.to("cpu")
            bank.load("a", of_cpu)
            assert device_of(bank.adapter("a")) == CPU
        assert device_of(of_cpu) == CPU


def test_what_is_brought_while_scores_are_made_can_be_trained() -> None:
    layer = torch.nn.Linear(2, 2)
    with torch.inference_mode():
        bring(layer, torch.device("meta"))
    assert device_of(layer) == torch.device("meta")
    assert not layer.weight.is_inference()


def test_the_device_of_the_tests_refuses_what_cuda_refuses() -> None:
    with Device():
        there, here = torch.ones(3, 2).to(DEVICE), torch.ones(3, 2)
        assert isinstance(there, OnDevice)
        for mixed in (
            lambda: there + here,
            lambda: torch.cat([there, here]),
            lambda: there.index_select(0, torch.tensor([1])),
            lambda: here[torch.tensor([1]).to(DEVICE)],
            lambda: torch.nn.functional.linear(there, here),
        ):
            with pytest.raises(RuntimeError, match="in one operation"):
                mixed()
        with pytest.raises(RuntimeError, match="a generator of the CPU"):
            torch.randn(3, generator=torch.Generator(), device=DEVICE)
        with pytest.raises(RuntimeError, match="a generator of the CPU"):
            there.normal_(generator=torch.Generator())
        with pytest.raises(RuntimeError, match="not supported for tensor subclasses"):
            there.numpy()
        # A number is no tensor of the CPU, neither for CUDA.
        assert float((there * torch.tensor(2.0)).sum()) == 12


def small(most: int, of_step: int, model: Heads) -> list[int]:
    """Let passes of more rows, and steps of more, find no memory; returns the sizes of steps."""
    sizes: list[int] = []

    def refuse(module: torch.nn.Module, arguments: tuple[Tensor, ...]) -> None:
        rows, trains = len(arguments[0]), torch.is_grad_enabled()
        if trains:
            sizes.append(rows)
        if rows > (of_step if trains else most):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 MiB.")

    model.click[1].register_forward_pre_hook(refuse)
    return sizes


@pytest.mark.parametrize(
    "method",
    [IAKConfig(4, 8, beta=0.1), IAKConfig(4, 8, combine="replace", warm_epochs=1)],
    ids=["residual", "replace"],
)
@pytest.mark.few(1)
def test_parts_of_a_step_add_up_to_the_whole(
    method: IAKConfig, caplog: pytest.LogCaptureFixture
) -> None:
    results = []
    for most, of_step in ((1 << 20, 1 << 20), (70, 40)):
        model = heads()
        sizes = small(most, of_step, model)
        with attach(model, method, PLACES, NAMES, seed=5) as adapted:
            with caplog.at_level(logging.WARNING, logger="driftune"):
                report = train(adapted, rows(300), rows(600, 1), CONFIG)
            results.append((report, {name: weights(adapted.adapter(name)) for name in NAMES}))
        assert max(sizes) > 100
    (whole, wanted), (parts, found) = results
    for name in NAMES:
        for key, each in wanted[name].items():
            torch.testing.assert_close(found[name][key], each, rtol=1e-4, atol=1e-5)
        losses = parts.domains[name].select_loss
        assert losses == pytest.approx(whole.domains[name].select_loss, rel=1e-4)
    said = [each.message for each in caplog.records if "out of memory" in each.message]
    assert len(said) == len(set(said))
    for work in ("a training step", "the selection rows", "the kernels' standardisation"):
        assert any(f"cpu: out of memory in {work}; it goes on with fewer" in each for each in said)


def test_memory_for_no_rows_is_one_line() -> None:
    model = heads()
    with attach(model, IAKConfig(4, 8), PLACES, NAMES) as adapted:
        adapted.build(torch.ones(2, WIDTH))
        small(1 << 20, 0, model)
        with pytest.raises(
            DeviceMemoryError, match="cpu: its memory does not suffice for"
        ) as error:
            train(adapted, rows(300), None, CONFIG)
    assert "\n" not in str(error.value)


def test_the_frozen_pass_is_not_kept_where_memory_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    _, wanted = trained(CPU, IAKConfig(4, 8))

    made = Tensor.new_empty

    def full(tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
        if shape[0] in (300, 90):
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return made(tensor, shape)

    monkeypatch.setattr(Tensor, "new_empty", full)
    report, found = trained(CPU, IAKConfig(4, 8))
    assert report.kept_bytes == 0
    assert same(found, wanted)


@pytest.mark.parametrize(
    ("error", "lacks"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"), True),
        (
            RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate`"),
            True,
        ),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB)"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (DeviceMemoryError("cuda: out of memory"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_which_errors_mean_that_memory_lacks(error: Exception, lacks: bool) -> None:
    assert lacks_memory(error) is lacks


def test_chunks_that_lacked_memory_are_done_again_in_smaller_ones() -> None:
    seen: list[tuple[int, int]] = []

    def work(first: int, part: Tensor) -> list[int]:
        if first >= 100 and len(part) > 30:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        seen.append((first, len(part)))
        return part.tolist()

    found = over_chunks([torch.arange(250)], CPU, Chunk(100, "a test"), work)
    assert [each for part in found for each in part] == list(range(250))
    assert seen == [(0, 100), (100, 25), (125, 25), (150, 25), (175, 25), (200, 25), (225, 25)]


def test_a_chunk_that_lacked_memory_is_not_held_meanwhile() -> None:
    tried: list[weakref.ref[Tensor]] = []

    def work(first: int, part: Tensor) -> None:
        assert all(each() is None for each in tried)
        if len(part) > 30:
            tried.append(weakref.ref(part))
            raise torch.OutOfMemoryError("CUDA out of memory.")

    over_chunks([torch.arange(100)], CPU, Chunk(100, "a test"), work)
    assert len(tried) == 2


def test_parts_draw_the_numbers_of_the_batch() -> None:
    whole = torch.Generator().manual_seed(9)
    wanted = [torch.randn(n * 10, 3, generator=whole) for n in (1, 2)]
    draws = BatchDraws(torch.Generator().manual_seed(9), 10)
    found: list[list[Tensor]] = [[], []]
    for start, stop in ((0, 3), (3, 4), (4, 10)):
        draws.begin(start, stop)
        for number, steps in enumerate((1, 2)):
            found[number].append(draws.normal(((stop - start) * steps, 3), torch.float32))
    assert all(map(torch.equal, map(torch.cat, found), wanted))


def test_in_bf16_kl_and_losses_are_in_full_precision() -> None:
    torch.manual_seed(0)
    kernel = IAKKernel(WIDTH, IAKConfig(4, 8)).train()
    h, seen = torch.randn(50, WIDTH), []

    def loss(output: tuple[Tensor, Tensor], labels: tuple[Tensor, ...]) -> Tensor:
        seen.append((output[0].dtype, output[1].dtype))
        return (output[0] - labels[0]).square()

    with torch.autocast("cpu", dtype=torch.bfloat16):
        adapted = kernel(h, torch.Generator().manual_seed(1))
    assert adapted.kl is not None and adapted.mean is not None and adapted.sigma is not None
    prior = torch.nn.functional.softplus(kernel.prior_rho) + 1e-6
    wanted = gaussian_kl(adapted.mean, adapted.sigma, kernel.prior_mean, prior)
    assert adapted.kl.dtype == torch.float32
    assert torch.equal(adapted.kl, wanted)
    with attach(heads(), IAKConfig(4, 8), PLACES, NAMES) as both:
        settings = TrainConfig(epochs=1, batch_size=64, precision="bf16")
        train(both, rows(300), rows(90, 1), settings, loss=loss)
    assert set(seen) == {(torch.float32, torch.float32)}


def test_a_line_is_said_once_a_process(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        devices_module.say_once("cuda:9: full")
    assert [each.message for each in caplog.records] == ["cuda:9: full"]
