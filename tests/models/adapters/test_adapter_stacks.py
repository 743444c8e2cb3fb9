"""Stacked steps where memory lacks: by halves of the learners, then by parts of a batch."""

import copy
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from driftune.models.adapters import (
    Adapter,
    AdapterBank,
    Choice,
    Chosen,
    Examples,
    IAKConfig,
    TrainConfig,
    attach,
    choose_together,
)
from driftune.models.adapters.devices import Chunk, say_once
from tests.models.adapters.conftest import WIDTH, Heads

PLACES = ["representation", "click.1"]
CONFIG = TrainConfig(epochs=2, batch_size=64, min_batch=64, learning_rate=1e-2, seed=3)
# Blocks of two domains' batches are 128 rows, those of one are 64.
WHOLE, PAIRS, ALONE, PARTS = 1 << 20, 128, 64, 40


@pytest.fixture(autouse=True)
def _anew() -> object:
    say_once.cache_clear()
    yield
    say_once.cache_clear()


def rows(count: int, seed: int) -> Examples:
    draw = torch.Generator().manual_seed(seed)
    h = torch.randn(count, WIDTH, generator=draw)
    click, bought = ((torch.rand(count, generator=draw) < 0.4).float() for _ in range(2))
    return Examples((h,), (click, click * bought), torch.zeros(count, dtype=torch.long))


def start(method: IAKConfig) -> Adapter:
    torch.manual_seed(1)
    with attach(Heads(), method, PLACES, ["new"], seed=5) as adapted:
        adapted.build(torch.ones(2, WIDTH))
        return copy.deepcopy(adapted.adapter("new"))


def chosen(
    method: IAKConfig, most: int, workers: int = 1, judged: int = WHOLE
) -> tuple[list[Chosen], list[int]]:
    """Adapters of four domains where steps of ``most`` rows find memory, and other passes of
    ``judged`` rows; the sizes of training steps.
    """
    torch.manual_seed(1)
    model, sizes = Heads(), list[int]()

    def refuse(module: torch.nn.Module, arguments: tuple[Tensor, ...]) -> None:
        if torch.is_grad_enabled():
            sizes.append(len(arguments[0]))
        if len(arguments[0]) > (most if torch.is_grad_enabled() else judged):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 MiB.")

    model.click[1].register_forward_pre_hook(refuse)
    choices = [
        Choice(str(n), start(method), rows(150, n), [0], rows(70, 9 + n), [method.beta], CONFIG)
        for n in range(4)
    ]
    with attach(model, AdapterBank(), PLACES) as adapted:
        found = choose_together(adapted, choices, workers)
    made = [each for each in found if isinstance(each, Chosen)]
    assert len(made) == len(found)
    return made, sizes


def state(each: Chosen) -> dict[str, Tensor]:
    return dict(each.adapter.state_dict())


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    "method",
    [IAKConfig(4, 8, beta=0.1), IAKConfig(4, 8, combine="replace", warm_epochs=1, beta=0.1)],
    ids=["residual", "replace"],
)
@pytest.mark.few(1)
def test_fewer_learners_a_step_change_no_bit(method: IAKConfig, workers: int) -> None:
    whole, sizes = chosen(method, WHOLE, workers)
    assert max(sizes) > PAIRS if workers == 1 else max(sizes) == PAIRS
    for most in (PAIRS, ALONE):
        found, sizes = chosen(method, most, workers)
        assert [size for size in sizes if size <= most]
        for one, other in zip(found, whole, strict=True):
            for name, each in state(other).items():
                assert torch.equal(state(one)[name], each)


@pytest.mark.slow
@pytest.mark.ci
def test_parts_of_one_learner_s_batch_add_up_to_it(caplog: pytest.LogCaptureFixture) -> None:
    method = IAKConfig(4, 8, beta=0.1)
    whole, _ = chosen(method, WHOLE)
    with caplog.at_level(logging.WARNING, logger="driftune"):
        found, sizes = chosen(method, PARTS, judged=PARTS)
    assert [size for size in sizes if size <= PARTS]
    for one, other in zip(found, whole, strict=True):
        for name, each in state(other).items():
            torch.testing.assert_close(state(one)[name], each, rtol=1e-4, atol=1e-5)
        losses = other.report.select_loss
        assert one.report.select_loss == pytest.approx(losses, rel=1e-4)
    said = [each.message for each in caplog.records if "out of memory" in each.message]
    assert len(said) == len(set(said)) >= 3


def test_a_size_that_another_thread_has_come_to_is_not_raised_again() -> None:
    chunk, device = Chunk(8192, "a test"), torch.device("cpu")
    chunk.halve(8192, device)
    chunk.halve(2048, device)
    chunk.halve(4096, device)
    assert chunk.rows == 1024


def test_a_checkpoint_of_other_places_is_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Both places are equally wide, and the seeds make the same kernels."""

    def train(place: str, progress: Callable[[str, int, int], None]) -> Chosen | Exception:
        torch.manual_seed(1)
        model = Heads()
        with attach(model, IAKConfig(4, 8), [place], ["new"], seed=5) as adapted:
            adapted.build(torch.ones(2, WIDTH))
            begin = copy.deepcopy(adapted.adapter("new"))
        choice = Choice(
            "new", begin, rows(150, 0), [0], rows(70, 9), [0.0], CONFIG, tmp_path / "c", progress
        )
        with attach(model, AdapterBank(), [place]) as adapted:
            return choose_together(adapted, [choice])[0]

    def stop(label: str, done: int, most: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train("click.1", stop)
    epochs: list[int] = []
    train("convert.1", lambda label, done, most: epochs.append(done))
    assert epochs == [1, 2]
    assert "a checkpoint of another run" in caplog.text
