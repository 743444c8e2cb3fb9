"""What only a GPU shows; skipped where there is none. On a machine with one: pytest tests/gpu."""

from pathlib import Path

import numpy as np
import pytest
import torch

from driftune.adaptation.challenge import challenge
from driftune.adaptation.finetune import finetune
from driftune.config import Config
from driftune.models.adapters import Adapter, AdapterBank, IAKConfig, IAKKernel
from driftune.models.adapters.devices import Chunk, device_of, say_once
from driftune.models.adapters.feeding import over_chunks
from driftune.models.esmm import ESMM
from driftune.registry.ledger import Ledger
from driftune.registry.records import GateReport
from driftune.training import scoring
from driftune.training.fitting import fit
from driftune.training.ranks import Ranks
from driftune.training.rows import Rows
from driftune.training.scoring import score, score_clicks
from driftune.training.unknown import IdDropout
from tests.conftest import World
from tests.crowning import bench, bring, pending

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
GPU = torch.device("cuda", 0)


@pytest.fixture
def rows() -> Rows:
    """Random rows of three domains."""
    draw, count = np.random.default_rng(0), 30_000
    ids = torch.from_numpy(draw.integers(0, 1000, (count, 2)))
    numbers = torch.from_numpy(draw.normal(size=(count, 3)).astype(np.float32))
    click, convert = (torch.from_numpy(draw.integers(0, 2, count)).float() for _ in range(2))
    none, zeros = np.full(count, np.nan), np.zeros(count, dtype=np.int64)
    keys = np.array(["a", "b", "c"] * (count // 3))
    return Rows(ids, numbers, click, convert, zeros, keys, zeros, zeros, none, none)


def esmm() -> ESMM:
    torch.manual_seed(2)
    return ESMM([1000, 1000], 3, 8, [64, 32]).eval().requires_grad_(False)


def bank() -> AdapterBank:
    torch.manual_seed(3)
    return AdapterBank.from_adapters(
        {
            name: Adapter({"representation": IAKKernel(19, IAKConfig(4, 8, "replace"))}).eval()
            for name in "ab"
        }
    )


def with_device(world: World, device: str) -> Config:
    config = world.config
    adapter = config.adapter.model_copy(update={"device": device})
    return config.model_copy(update={"adapter": adapter}).read_from(world.params)


@pytest.mark.parametrize("chunk", [1 << 15, 1000])
def test_scores_are_those_of_the_cpu_but_for_rounding(
    rows: Rows, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    """Small chunks are copied ahead of those that are computed; none overtakes another."""
    monkeypatch.setattr(scoring, "CHUNK", chunk)
    wanted = (*score(esmm(), rows, bank()), score_clicks(esmm(), rows, AdapterBank()))
    model = esmm().to(GPU)
    for _ in range(3):
        found = (*score(model, rows, bank()), score_clicks(model, rows, AdapterBank()))
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_bf16_scores_are_near(rows: Rows) -> None:
    if not torch.cuda.is_bf16_supported(including_emulation=False):
        pytest.skip("this GPU computes no bf16")
    model = esmm().to(GPU)
    wanted, _ = score(model, rows)
    model.precision = "bf16"
    assert np.abs(score(model, rows)[0] - wanted).max() < 0.02


def test_rows_ahead_arrive_whole_and_in_order() -> None:
    values = torch.randn(200_000, 16)

    def slow(first: int, part: torch.Tensor) -> torch.Tensor:
        weight = torch.eye(16, device=part.device)
        for _ in range(50):
            part = part @ weight
        return part

    found = over_chunks([values], GPU, Chunk(5000, "a test"), slow)
    torch.testing.assert_close(torch.cat(found).cpu(), values, rtol=1e-3, atol=1e-3)


def test_real_want_of_memory_is_made_do_with(caplog: pytest.LogCaptureFixture) -> None:
    say_once.cache_clear()
    free, _ = torch.cuda.mem_get_info(GPU)
    values = torch.randn(4096, 4)

    def greedy(first: int, part: torch.Tensor) -> torch.Tensor:
        torch.empty(len(part) * (free // 1500), dtype=torch.uint8, device=GPU)
        return part * 2

    found = over_chunks([values], GPU, Chunk(4096, "a test"), greedy)
    assert torch.equal(torch.cat(found).cpu(), values * 2)
    assert any("out of memory in a test" in each.message for each in caplog.records)
    torch.cuda.empty_cache()


def test_pretraining_twice_gives_the_same_losses(make_world, rows: Rows) -> None:
    trained = []
    for device in (GPU, GPU, torch.device("cpu")):
        model = esmm().requires_grad_(True).to(device)
        dropout = IdDropout(("user", "item"), (0.1, 0.0), 3)
        trained.append(
            fit(make_world().config, model, rows, dropout, group=Ranks(device=str(device)))
        )
    assert trained[0] == pytest.approx(trained[1], rel=1e-5)
    assert trained[0] == pytest.approx(trained[2], rel=1e-2)


def test_a_fine_tuning_ends_as_on_the_cpu(trained_world: World, tmp_path: Path) -> None:
    """Same rows, shuffles and noise: the same verdict, and figures that differ by rounding."""
    day = bring(trained_world, trained_world.day(3))
    decision = pending(trained_world, day)
    ends = []
    for number, device in enumerate(("cuda", "cuda", "cpu")):
        world = World.copied(trained_world.root, tmp_path / str(number))
        ends.append(_ended(world, decision, device))
    report, same, other = ends
    assert report.decision == same.decision
    assert report.challenger.ctr_auc == pytest.approx(same.challenger.ctr_auc, abs=1e-4)
    assert report.challenger.ctr_auc == pytest.approx(other.challenger.ctr_auc, abs=0.02)


def _ended(world: World, decision: str, device: str) -> GateReport:
    config = with_device(world, device)
    with Ledger(config) as ledger:
        work = bench(config, ledger, decision)
        assert device_of(work.served.model).type == device
        finetune(work)
        adapter, _ = work.challenger()
        assert device_of(adapter).type == "cpu"
        return challenge(work)
