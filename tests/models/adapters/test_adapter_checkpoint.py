"""A run that was killed goes on after its last whole epoch and ends in the same bytes."""

import logging
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

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


def run(file: Path | None, progress: Progress | None = None, config: TrainConfig = CONFIG) -> str:
    """Train two domains; returns the fingerprint of their adapters."""
    torch.set_num_threads(1)
    model = built(DLRM)
    generator = torch.Generator().manual_seed(2)
    inputs = (
        torch.randn(300, 3, generator=generator),
        torch.randint(0, 10, (300, 2), generator=generator),
    )
    labels = ((inputs[0].sum(dim=1) > 0).float(),)
    rows = Examples(inputs, labels, torch.arange(300) % 2)
    with attach(model, IAKConfig(3, 6), "top.1", ["a", "b"], seed=1) as adapted:
        train(adapted, rows, rows, config, loss=_loss, checkpoint=file, progress=progress)
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


def test_a_killed_run_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    file = tmp_path / "run" / "checkpoint.safetensors"
    _killed(file)
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    epochs: list[int] = []
    resumed = run(file, lambda label, done, of: epochs.append(done))
    assert epochs == [3, 4, 5]
    assert resumed == run(None)
    assert list(file.parent.iterdir()) == []


@pytest.mark.parametrize("damage", ["truncated", "other"])
def test_a_checkpoint_that_does_not_fit_is_not_used(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "checkpoint.safetensors"
    _killed(file)
    config = CONFIG
    if damage == "truncated":
        file.write_bytes(file.read_bytes()[:-50])
    else:
        config = replace(CONFIG, learning_rate=2e-2)
    epochs: list[int] = []
    logger = logging.getLogger("driftune")
    before, logger.propagate = logger.propagate, True
    try:
        found = run(file, lambda label, done, of: epochs.append(done), config)
    finally:
        logger.propagate = before
    assert epochs == [1, 2, 3, 4, 5]
    assert found == run(None, None, config)
    assert "training starts anew" in caplog.text
