"""Pre-training on two real processes under torchrun: the curve of one, and nothing half-written."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from driftune.registry.ledger import Ledger
from driftune.training.pretrain import backbone_folder, load_model, pretrain
from driftune.training.ranks import Ranks
from tests.conftest import World

ROOT = Path(__file__).parents[2]


@contextmanager
def torchrun(world: World, *options: str) -> Iterator[subprocess.Popen[str]]:
    """``driftune pretrain`` on two processes; it is stopped at the end."""
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"),
        *("-m", "driftune.cli", "pretrain", "-c", str(world.params), "--json", *options),
    ]
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def epochs(world: World, number: int) -> None:
    text = world.params.read_text()
    world.params.write_text(text.replace("epochs: 1\n", f"epochs: {number}\n"))


def ranks_of(launcher: int) -> dict[str, int]:
    """The process numbers of the ranks that a launcher has started."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int(folder.joinpath("stat").read_text().rsplit(")", 1)[1].split()[1])
            env = folder.joinpath("environ").read_bytes().decode(errors="replace").split("\0")
        except (OSError, IndexError):
            continue
        if parent == launcher:
            found |= {each[5:]: int(folder.name) for each in env if each.startswith("RANK=")}
    return found


def weights(world: World) -> list[torch.Tensor]:
    return list(load_model(world.config)[1].state_dict().values())


@pytest.mark.slow
@pytest.mark.ci
def test_two_processes_follow_the_curve_of_one(trained_world: World) -> None:
    epochs(trained_world, 3)
    with Ledger(trained_world.config) as ledger:
        alone = pretrain(trained_world.config, ledger, "pretrain")
    one = weights(trained_world)
    with torchrun(trained_world, "--only", "pretrain") as process:
        out, told = process.communicate(timeout=240)
    assert process.returncode == 0, told[-2000:]
    # The first rank alone tells what came of it.
    (line,) = out.splitlines()
    found = json.loads(line)
    assert found["rows"] == alone["rows"]
    assert found["losses"] == pytest.approx(alone["losses"], abs=2e-5)
    for single, double in zip(one, weights(trained_world), strict=True):
        torch.testing.assert_close(double, single, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds the ranks in /proc")
def test_a_killed_rank_ends_all_in_a_line_and_leaves_the_backbone(trained_world: World) -> None:
    folder = backbone_folder(trained_world.config)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    epochs(trained_world, 100_000)
    with torchrun(trained_world, "--only", "pretrain") as process:
        until = time.monotonic() + 120
        # A rank that has joined the others has spent more than its imports have.
        while len(found := ranks_of(process.pid)) < 2 or not joined(found["1"]):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.2)
        os.kill(found["1"], signal.SIGKILL)
        _, told = process.communicate(timeout=120)
    assert process.returncode != 0
    (line,) = [each for each in told.splitlines() if "error: pre-training:" in each]
    assert "the backbone is as it was" in line
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def joined(pid: int) -> bool:
    """Whether a rank is connected to another process."""
    try:
        sockets = [path.readlink().name for path in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return False
    return sum(each.startswith("socket:") for each in sockets) >= 3


@pytest.mark.slow
@pytest.mark.ci
def test_shares_of_a_batch_are_whole_and_weigh_as_the_batch() -> None:
    for rows in (7, 2, 1):
        batch = torch.arange(rows)
        parts = [Ranks(rank, 3).part(batch) for rank in range(3)]
        values = torch.randn(rows, generator=torch.Generator().manual_seed(rows))
        mean = sum(values[own].mean() * weight for own, weight in parts) / 3
        assert float(mean) == pytest.approx(float(values.mean()), abs=1e-6)
        own = torch.cat([part for part, weight in parts if weight])
        assert sorted(own.tolist()) == batch.tolist()
