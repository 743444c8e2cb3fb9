"""A run that was killed goes on after its last whole epoch and ends in the same bytes."""

import logging
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from driftune.models.adapters import (
    AdaptedModel,
    Examples,
    IAKConfig,
    TrainConfig,
    attach,
    fingerprint,
    train,
)
from driftune.models.adapters.training import Progress
from tests.models.adapters.shapes import DLRM, built

CONFIG = TrainConfig(epochs=5, patience=5, batch_size=32, learning_rate=1e-2, seed=3)
KERNELS = IAKConfig(3, 6)


def run(
    file: Path | None,
    progress: Progress | None = None,
    config: TrainConfig = CONFIG,
    *,
    kernels: IAKConfig = KERNELS,
    newest: slice = slice(None),
    fresh: int | None = None,
    epochs: dict[str, int] | None = None,
) -> str:
    """Train two domains; returns the fingerprint of their adapters."""
    torch.set_num_threads(1)
    model = built(DLRM)
    generator = torch.Generator().manual_seed(2)
    inputs = (
        torch.randn(300, 3, generator=generator),
        torch.randint(0, 10, (300, 2), generator=generator),
    )
    labels = ((inputs[0].sum(dim=1) > 0).float(),)
    unseen = None if fresh is None else torch.full((300, 1), fresh)
    rows = Examples(inputs, labels, torch.arange(300) % 2, unseen)
    options = {"loss": _loss, "checkpoint": file, "progress": progress, "epochs": epochs}
    with attach(model, kernels, "top.1", ["a", "b"], seed=1) as adapted:
        train(adapted, rows, rows.take(newest), config, **options)
        return _mark(adapted)


def _mark(adapted: AdaptedModel) -> str:
    return fingerprint(adapted.bank)


def _loss(logits: torch.Tensor, labels: tuple[torch.Tensor, ...]) -> torch.Tensor:
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, labels[0], reduction="none")


def _killed(file: Path) -> None:
    """Run in another process that is killed in its third epoch."""
    code = (
        "import os, signal; from pathlib import Path\n"
        "from tests.models.adapters.test_adapter_checkpoint import run\n"
        "def stop(label, done, of):\n"
        "    if done == 2: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"run(Path({str(file)!r}), stop)"
    )
    root = Path(__file__).parents[3]
    ended = subprocess.run([sys.executable, "-c", code], cwd=root, check=False)
    assert ended.returncode == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.ci
def test_a_killed_run_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    file = tmp_path / "run" / "checkpoint.safetensors"
    _killed(file)
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    epochs: list[int] = []
    resumed = run(file, lambda label, done, of: epochs.append(done))
    assert epochs == [3, 4, 5]
    assert resumed == run(None)
    assert list(file.parent.iterdir()) == []


class StoppedError(Exception):
    """Ends a run in the middle, as a kill does."""


def _stop_at(last: int) -> Progress:
    """Ends a run after that many calls."""
    calls = iter(range(1, last + 1))

    def progress(label: str, done: int, of: int) -> None:
        if next(calls) == last:
            raise StoppedError

    return progress


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What the project's logger says, which other tests may have kept to itself."""
    logger = logging.getLogger("driftune")
    before, logger.propagate = logger.propagate, True
    yield caplog
    logger.propagate = before


def _foreign(file: Path) -> None:
    save_file({"weight": torch.zeros(3)}, file)


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_bytes(file.read_bytes()[:-50]),
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(b"\x80\x04K\x01." * 9),
        _foreign,
    ],
    ids=["truncated", "empty", "foreign bytes", "foreign tensors"],
)
@pytest.mark.few(1)
def test_a_damaged_or_foreign_checkpoint_is_not_used(
    tmp_path: Path, damage: Callable[[Path], object], warnings: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "checkpoint.safetensors"
    with pytest.raises(StoppedError):
        run(file, _stop_at(2))
    damage(file)
    epochs: list[int] = []
    assert run(file, lambda label, done, of: epochs.append(done)) == run(None)
    assert epochs == [1, 2, 3, 4, 5]
    assert "training starts anew" in warnings.text
    assert str(file) in warnings.text


@pytest.mark.parametrize(
    "change",
    [
        {"config": replace(CONFIG, learning_rate=2e-2)},
        {"kernels": replace(KERNELS, beta=0.5)},
        {"newest": slice(0, 200)},
        {"fresh": 2},
        {"epochs": {"a": 5, "b": 4}},
    ],
    ids=lambda change: next(iter(change)),
)
@pytest.mark.few(1)
def test_the_checkpoint_of_another_run_is_not_used(
    tmp_path: Path, change: dict[str, Any], warnings: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "checkpoint.safetensors"
    with pytest.raises(StoppedError):
        run(file, _stop_at(2))
    epochs: list[int] = []
    found = run(file, lambda label, done, of: epochs.append(done), **change)
    assert epochs == [1, 2, 3, 4, 5]
    assert found == run(None, **change)
    assert "a checkpoint of another run; training starts anew" in warnings.text


@pytest.mark.slow
@pytest.mark.ci
def test_a_stopped_run_of_each_phase_ends_the_same(tmp_path: Path) -> None:
    kernels = IAKConfig(3, 6, "replace", warm_epochs=1, compress_epochs=2)
    whole = run(None, kernels=kernels)
    for last in (1, 3, 4):
        file = tmp_path / str(last)
        with pytest.raises(StoppedError):
            run(file, _stop_at(last), kernels=kernels)
        assert run(file, kernels=kernels) == whole
