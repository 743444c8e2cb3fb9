"""A challenger that is trained and judged on a device that is not the CPU."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import torch

from driftune.adaptation.challenge import challenge
from driftune.adaptation.finetune import finetune
from driftune.config.workspace import Workspace
from driftune.errors import DeviceFullError
from driftune.models.adapters import load_adapter
from driftune.models.adapters import optimiser as optimiser_module
from driftune.models.adapters import upper as upper_module
from driftune.models.adapters.devices import device_of
from driftune.registry.ledger import Ledger
from driftune.training import devices as devices_module
from tests.conftest import World
from tests.crowning import bench, crown, pending, train
from tests.on_device import CPU, DEVICE, on

pytestmark = pytest.mark.trains


@pytest.fixture(autouse=True)
def _unfused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both devices take the same optimiser: the fused one sums in another order."""
    monkeypatch.setattr(optimiser_module, "fuses", lambda device: False)


def adapted(world: World, decision: str, device: torch.device) -> tuple[Any, ...]:
    """What comes of a decision on a device: files, training figures and the gate's report."""
    with pytest.MonkeyPatch.context() as patched, on(device), Ledger(world.config) as ledger:
        patched.setattr(devices_module, "device_for", lambda config: device)
        at_work = bench(world.config, ledger, decision)
        assert device_of(at_work.served.model) == device
        training = finetune(at_work)
        report = challenge(at_work)
    folder = Workspace(world.config).challenger(decision)
    training = training.model_copy(update={"seconds": None})
    return training, report, (folder / "adapter.safetensors").read_bytes()


@pytest.mark.slow
@pytest.mark.ci
def test_a_challenger_of_a_device_is_that_of_the_cpu(
    next_day_world: World, day: date, tmp_path: Path
) -> None:
    first = pending(next_day_world, day)
    train(next_day_world, first)
    champion, _ = load_adapter(Workspace(next_day_world.config).challenger(first), backbone=None)
    crown(next_day_world, champion, [next_day_world.day(2)])
    second = pending(next_day_world, day, number=2)
    other = World.copied(next_day_world.root, tmp_path / "other")
    wanted = adapted(next_day_world, second, CPU)
    assert adapted(other, second, DEVICE) == wanted
    assert (wanted[0].started_from, wanted[1].champion_version) == (1, 1)


def test_a_device_without_memory_is_one_line(
    next_day_world: World, day: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    decision = pending(next_day_world, day)

    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(upper_module.Upper, "losses", full)
    with Ledger(next_day_world.config) as ledger:
        at_work = bench(next_day_world.config, ledger, decision)
        with pytest.raises(DeviceFullError, match="home · north: cpu: its memory does not suffice"):
            finetune(at_work)
