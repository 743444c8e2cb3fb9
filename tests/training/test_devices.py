"""Which device params.yaml chooses, and the loop's work on one that is not the CPU."""

import copy
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from driftune.config import Config
from driftune.config.marks import settings_marks
from driftune.drift.cells import embedding_regions
from driftune.drift.counts import Counted, write_counts
from driftune.drift.windows import draw_windows, read_profiles
from driftune.errors import BackboneError, ConfigError, DeviceFullError
from driftune.guard.check import check_champions
from driftune.models.adapters import Adapter, AdapterBank, IAKConfig, IAKKernel
from driftune.models.adapters import devices as adapter_devices
from driftune.models.adapters.devices import say_once
from driftune.models.esmm import ESMM
from driftune.models.recommender import Recommender
from driftune.registry.ledger import Ledger
from driftune.training import devices as devices_module
from driftune.training import fitting, scoring
from driftune.training.devices import device_for, serving
from driftune.training.fitting import fit
from driftune.training.pretrain import load_model, pretrain
from driftune.training.ranks import Ranks, ranks
from driftune.training.rows import Rows
from driftune.training.scoring import score, score_clicks
from driftune.training.unknown import IdDropout
from tests.conftest import World
from tests.crowning import KEY, bring, crown, random_adapter
from tests.on_device import CPU, DEVICE, Device, on


@pytest.fixture(autouse=True)
def _said_nothing_yet() -> None:
    say_once.cache_clear()


def config_with(world: World, **adapter: str) -> Config:
    """The world's configuration with keys of ``adapter``."""
    config = world.config
    changed = config.adapter.model_validate({**config.adapter.model_dump(), **adapter})
    return config.model_copy(update={"adapter": changed}).read_from(world.params)


def machine(monkeypatch: pytest.MonkeyPatch, gpus: int, *, built: bool = True) -> None:
    """Let PyTorch see so many GPUs, in a build for CUDA or not."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla T4")
    monkeypatch.setattr(torch.version, "cuda", "12.8" if built else None)


@pytest.mark.parametrize(
    ("wanted", "gpus", "found"),
    [
        ("auto", 0, "cpu"), ("auto", 2, "cuda:0"), ("cpu", 2, "cpu"),
        ("cuda", 1, "cuda:0"), ("cuda:1", 2, "cuda:1"),
    ],
)  # fmt: skip
def test_the_device_that_is_named_or_the_first_gpu(
    make_world, monkeypatch: pytest.MonkeyPatch, wanted: str, gpus: int, found: str
) -> None:
    machine(monkeypatch, gpus)
    assert device_for(config_with(make_world(), device=wanted)) == torch.device(found)


@pytest.mark.parametrize(
    ("wanted", "gpus", "built", "reason"),
    [
        ("cuda:3", 1, True, "'cuda:3': there is 1 CUDA device (cuda:0); name one of them"),
        ("cuda:2", 2, True, "there are 2 CUDA devices (cuda:0, cuda:1); name one"),
        ("cuda", 0, True, "there is no CUDA device (CUDA_VISIBLE_DEVICES='-1'; Ray sets it"),
        ("cuda", 0, False, "(this PyTorch is built without CUDA); set auto or cpu"),
        ("mps", 0, True, "'mps': PyTorch finds no MPS here; set auto or cpu"),
    ],
)
def test_a_device_that_is_not_there_is_one_line(
    make_world, monkeypatch: pytest.MonkeyPatch, wanted: str, gpus: int, built: bool, reason: str
) -> None:
    machine(monkeypatch, gpus, built=built)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    with pytest.raises(ConfigError) as error:
        device_for(config_with(make_world(), device=wanted))
    assert f"params.yaml: adapter.device = '{wanted}': " in str(error.value)
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("wrong", ["gpu", "cuda:", "cuda:x", "CUDA", "cuda:-1", ""])
def test_a_device_of_another_name_is_refused(make_world, wrong: str) -> None:
    with pytest.raises(
        ConfigError, match=r"adapter\.device = '.*': must be auto, cpu, cuda, cuda:N"
    ):
        _ = make_world(adapter={"device": wrong}).config


def test_auto_says_once_why_it_is_the_cpu(
    make_world, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    config = config_with(make_world(), device="auto")
    machine(monkeypatch, 0, built=False)
    device_for(config)
    assert caplog.records == []
    machine(monkeypatch, 0)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    for _ in range(2):
        assert device_for(config) == CPU
    (line,) = (each.message for each in caplog.records)
    assert line.startswith("adapter.device = auto: computing on the CPU, there is no CUDA device")


def test_bf16_needs_a_device_that_computes_it(make_world, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_with(make_world(), precision="bf16", device="auto")
    assert device_for(config) == CPU
    machine(monkeypatch, 1)
    monkeypatch.setattr(devices_module, "_knows_bf16", lambda device: device.type != "cuda")
    with pytest.raises(ConfigError) as error:
        device_for(config)
    wanted = "adapter.precision = 'bf16': cuda:0 (Tesla T4) computes no bf16; set fp32"
    assert wanted in str(error.value)


def test_where_it_is_computed_changes_no_decision_but_the_precision_does(make_world) -> None:
    world = make_world()
    marks = settings_marks(world.config)
    assert settings_marks(config_with(world, device="cuda:1")) == marks
    assert settings_marks(config_with(world, precision="bf16"))["adapter"] != marks["adapter"]


@pytest.mark.parametrize("wanted", ["cuda:0", "mps"])
def test_one_device_does_not_serve_several_ranks(
    make_world, monkeypatch: pytest.MonkeyPatch, wanted: str
) -> None:
    for name, value in {"WORLD_SIZE": "2", "RANK": "0", "TORCHELASTIC_RUN_ID": "x"}.items():
        monkeypatch.setenv(name, value)
    config = config_with(make_world(), device=wanted)
    with pytest.raises(ConfigError, match="one device for the 2 processes"), ranks(config):
        pass


def esmm() -> ESMM:
    """The same random model, every time."""
    torch.manual_seed(2)
    return ESMM([40, 40], 3, 4, [8])


@pytest.fixture
def rows() -> Rows:
    """Random rows of two domains."""
    draw, count = np.random.default_rng(0), 700
    ids = torch.from_numpy(draw.integers(0, 40, (count, 2)))
    numbers = torch.from_numpy(draw.normal(size=(count, 3)).astype(np.float32))
    click, convert = (torch.from_numpy(draw.integers(0, 2, count)).float() for _ in range(2))
    none, zeros = np.full(count, np.nan), np.zeros(count, dtype=np.int64)
    keys = np.array(["a", "b"] * (count // 2))
    return Rows(ids, numbers, click, convert, zeros, keys, zeros, zeros, none, none)


@pytest.mark.parametrize("resident", [1 << 31, 0], ids=["resident", "copied"])
def test_pretraining_on_a_device_is_that_on_the_cpu(
    make_world, rows: Rows, monkeypatch: pytest.MonkeyPatch, resident: int
) -> None:
    monkeypatch.setattr(fitting, "RESIDENT", resident)
    config, trained = make_world().config, []
    for device in (CPU, DEVICE):
        with on(device):
            model = esmm().to(device)
            dropout = IdDropout(("user", "item"), (0.1, 0.0), 3)
            losses = fit(config, model, rows, dropout, group=Ranks(device=str(device)))
            trained.append((model.fingerprint(), losses))
    assert trained[0] == trained[1]


def test_scores_of_a_device_are_those_of_the_cpu(
    rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "CHUNK", 100)
    wanted = (*score(esmm(), rows), score_clicks(esmm(), rows, AdapterBank()))
    with Device() as device:
        model = esmm().to(DEVICE)
        found = score(model, rows)
        # Of each chunk and tower the logits, once: nothing else is waited for.
        assert device.waits == {"aten::_to_copy": 14}
        found = (*found, score_clicks(model, rows, AdapterBank()))
    assert all(map(np.array_equal, found, wanted))


def test_scores_by_a_bank_wait_for_the_logits_alone(
    rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "CHUNK", 100)
    places = {"representation": 11, "click_tower.1": 8}
    torch.manual_seed(3)
    bank = AdapterBank.from_adapters(
        {
            name: Adapter(
                {at: IAKKernel(width, IAKConfig(4, 8, "replace")) for at, width in places.items()}
            )
            for name in "ab"
        }
    )
    wanted = score(esmm(), rows, bank)
    with Device() as device:
        model = esmm().to(DEVICE)
        brought = copy.deepcopy(bank)
        score(model, rows, brought)
        device.waits.clear()
        found = score(model, rows, brought)
        assert device.waits == {"aten::_to_copy": 14}
    assert all(map(np.array_equal, found, wanted))
    assert not np.allclose(wanted[0], score(esmm(), rows)[0])


def full(model: Recommender, most: int) -> None:
    """Let a model find no memory for more than so many rows."""

    def refuse(module: torch.nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
        if len(arguments[0]) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 MiB.")

    model.representation.register_forward_pre_hook(refuse)


def test_a_full_device_scores_the_same_in_smaller_chunks(
    rows: Rows, caplog: pytest.LogCaptureFixture
) -> None:
    model = esmm()
    wanted = score(model, rows)
    full(model, 100)
    for _ in range(2):
        assert all(map(np.allclose, score(model, rows), wanted))
    (line,) = (each.message for each in caplog.records)
    assert line.startswith("cpu: out of memory in scoring; it goes on with fewer rows at once")
    full(model, 0)
    with pytest.raises(DeviceFullError, match="cpu: its memory does not suffice for scoring of "):
        score(model, rows)


def no_room(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 MiB.")

    monkeypatch.setattr(module, name, refuse)


def test_no_memory_for_a_model_is_one_line(
    make_world, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, model = make_world(adapter={"device": "cpu"}).config, esmm()
    bank = AdapterBank.from_adapters(
        {"a": Adapter({"click_tower.1": IAKKernel(8, IAKConfig(4, 8))})}
    )
    with monkeypatch.context() as patched, Device():
        there = esmm().to(DEVICE)
        no_room(patched, AdapterBank, "to")
        with pytest.raises(DeviceFullError, match="does not suffice for the adapters; free memory"):
            score(there, rows, bank)
    with monkeypatch.context() as patched:
        no_room(patched, torch.optim.Adam, "step")
        with pytest.raises(BackboneError, match="does not suffice for a step of the optimiser; "):
            fit(config, esmm(), rows)
    no_room(monkeypatch, torch.nn.Module, "to")
    with pytest.raises(DeviceFullError, match="cpu: its memory does not suffice for the backbone"):
        serving(config, model)
    with pytest.raises(BackboneError, match="cpu: its memory does not suffice for the backbone"):
        fit(config, model, rows)


def test_rows_without_room_on_the_device_are_copied(
    make_world, rows: Rows, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    wanted, made = esmm(), esmm()
    losses = fit(make_world().config, wanted, rows)
    with monkeypatch.context() as patched:
        no_room(patched, adapter_devices, "moved")
        assert fit(make_world().config, made, rows) == losses
    assert made.fingerprint() == wanted.fingerprint()
    assert [each.message for each in caplog.records] == [
        "cpu: no memory to hold the rows of pre-training, of which each batch is copied"
    ]


def test_a_full_device_pretrains_the_same_in_smaller_parts(make_world, rows: Rows) -> None:
    trained = []
    for most in (1 << 20, 90):
        model = esmm()
        full(model, most)
        losses = fit(make_world().config, model, rows, IdDropout(("u", "i"), (0.1, 0.0), 3))
        trained.append((losses, model.state_dict()))
    assert trained[1][0] == pytest.approx(trained[0][0], rel=1e-4)
    for name, each in trained[0][1].items():
        torch.testing.assert_close(trained[1][1][name], each, rtol=1e-3, atol=1e-4)
    full(model, 0)
    with pytest.raises(BackboneError, match="does not suffice for a batch of pre-training of "):
        fit(make_world().config, model, rows)


def test_scores_in_bf16_are_near(rows: Rows) -> None:
    model = esmm()
    wanted, _ = score(model, rows)
    model.precision = "bf16"
    found, _ = score(model, rows)
    assert found.dtype == np.float64
    assert 0 < np.abs(found - wanted).max() < 0.01


def test_a_regions_table_is_read_from_the_device() -> None:
    encoder: Any = type("E", (), {"fields": ("user", "item"), "sizes": (40, 40)})
    wanted = embedding_regions(esmm(), encoder, "item")
    with Device():
        assert np.array_equal(embedding_regions(esmm().to(DEVICE), encoder, "item"), wanted)
    assert len(set(wanted)) > 1


def on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the configuration choose the stand-in of a GPU."""
    monkeypatch.setattr(devices_module, "device_for", lambda config: DEVICE)


@pytest.mark.slow
@pytest.mark.ci
def test_profiles_and_the_guard_see_the_same_on_a_device(
    trained_world: World, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crown(trained_world, random_adapter(trained_world), [trained_world.day(2)])
    day = bring(trained_world, trained_world.day(3))
    other = World.copied(trained_world.root, tmp_path / "other")
    seen = []
    for world, device in ((trained_world, CPU), (other, DEVICE)):
        with monkeypatch.context() as patched, on(device):
            if device == DEVICE:
                on_the_device(patched)
            seen.append(judged(world, day))
    assert seen[0] == seen[1]


@pytest.mark.slow
@pytest.mark.ci
def test_profiles_of_another_precision_are_drawn_anew(
    trained_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = bring(trained_world, trained_world.day(3))
    drawn: list[str] = []

    def write(path: Path, counts: Iterable[Counted]) -> None:
        made = list(counts)
        drawn.extend(each.label for each in made)
        write_counts(path, made)

    monkeypatch.setattr("driftune.drift.profiles.write_counts", write)
    found = []
    with Ledger(trained_world.config) as ledger:
        for precision in ("fp32", "fp32", "bf16"):
            drawn.clear()
            config = config_with(trained_world, precision=precision)
            for window in draw_windows(config, ledger, day):
                read_profiles(config, window)
            found.append(sorted(drawn))
    assert found[0] and not found[1]
    assert found[2] == [f"{label} bf16" for label in found[0]]


def judged(world: World, day: date) -> tuple[Any, ...]:
    """What the guard finds, and the counts of the day's windows."""
    with Ledger(world.config) as ledger:
        checks = check_champions(world.config, ledger, day, mirrored=False)
        windows = draw_windows(world.config, ledger, day)
    counts = [
        (window.key, str(held_day), part, values.tolist())
        for window in windows
        for held_day, held in read_profiles(world.config, window).items()
        for part, values in held.parts.items()
    ]
    assert counts and any(each.key == KEY for each in windows)
    return checks, counts


@pytest.mark.slow
@pytest.mark.ci
def test_the_backbone_of_a_device_is_that_of_the_cpu(
    trained_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, mark = load_model(trained_world.config)
    on_the_device(monkeypatch)
    monkeypatch.setattr("driftune.training.ranks.device_for", lambda config: DEVICE)
    with Device(), Ledger(trained_world.config) as ledger:
        made = pretrain(trained_world.config, ledger, only="pretrain")
        pretrain(trained_world.config, ledger, only="evaluate")
    assert made["fingerprint"] == mark
