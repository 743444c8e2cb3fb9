"""Layers folded into kernels: where that is done, and domains alone and among others with it."""

import copy

import pytest
import torch
from torch import Tensor, nn

from driftune.models.adapters import (
    AdapterBank,
    Choice,
    Chosen,
    Examples,
    IAKConfig,
    TrainConfig,
    attach,
    choose_together,
)
from driftune.models.adapters.split import split
from tests.models.adapters.conftest import WIDTH

AT = ("click.1", "convert.1")
METHODS = [IAKConfig(4, 8), IAKConfig(4, 8, combine="replace", warm_epochs=1)]
CONFIG = TrainConfig(epochs=3, batch_size=64, min_batch=64, learning_rate=1e-2, seed=3)


class Towers(nn.Module):
    """Two towers whose places go into a linear layer each."""

    def __init__(self, out: int = 16) -> None:
        super().__init__()
        self.click, self.convert = (
            nn.Sequential(
                nn.Linear(WIDTH, 24), nn.ReLU(), nn.Linear(24, out), nn.ReLU(), nn.Linear(out, 1)
            )
            for _ in range(2)
        )

    def forward(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (rows,) each from h (rows, width)."""
        return self.click(h).squeeze(1), self.convert(h).squeeze(1)


def folds(model: nn.Module, at: tuple[str, ...]) -> bool:
    with attach(model, METHODS[0], at, ["a"]) as adapted:
        adapted.build(torch.ones(2, WIDTH))
        halves = split(adapted, (torch.randn(8, WIDTH),), folds=True)
        assert halves.problem is None
        return halves.folded is not None


def test_what_is_folded() -> None:
    assert folds(Towers(), AT)
    # Behind 0 and 3 follow activations, behind the last 1 nothing; 48 columns are more than 24.
    assert not folds(Towers(), ("click.0", "convert.0"))
    assert not folds(Towers(48), AT)
    assert not folds(Towers(1), AT)
    assert not folds(Towers(9), AT)
    hooked = Towers()
    hooked.click[2].register_forward_hook(lambda *_: None)
    assert not folds(hooked, AT)


def rows(count: int, seed: int) -> Examples:
    draw = torch.Generator().manual_seed(seed)
    h = torch.randn(count, WIDTH, generator=draw)
    click, bought = ((torch.rand(count, generator=draw) < 0.4).float() for _ in range(2))
    return Examples((h,), (click, click * bought), torch.zeros(count, dtype=torch.long))


def chosen(method: IAKConfig, seeds: list[int], workers: int, cache: int = 1 << 30) -> list[Chosen]:
    torch.manual_seed(1)
    model = Towers()
    with attach(copy.deepcopy(model), method, AT, ["new"], seed=5) as adapted:
        adapted.build(torch.ones(2, WIDTH))
        start = adapted.adapter("new")
    config = TrainConfig(**{**vars(CONFIG), "cache_bytes": cache})
    choices = [
        Choice(str(n), start, rows(100 + 40 * n, n), [0], rows(70, 9 + n), [0.0, 0.1], config)
        for n in seeds
    ]
    with attach(model, AdapterBank(), AT) as adapted:
        found = choose_together(adapted, choices, workers)
    made = [each for each in found if isinstance(each, Chosen)]
    assert len(made) == len(found)
    return made


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("method", METHODS, ids=["residual", "replace"])
@pytest.mark.few(1)
def test_a_domain_alone_and_among_others(method: IAKConfig, workers: int) -> None:
    every = chosen(method, [0, 1, 2, 3, 4], workers)
    for number in (0, 3):
        (alone,) = chosen(method, [number], 1)
        assert alone.report.select_loss == every[number].report.select_loss
        for name, each in alone.adapter.state_dict().items():
            assert torch.equal(each, every[number].adapter.state_dict()[name])


@pytest.mark.parametrize("method", METHODS, ids=["residual", "replace"])
@pytest.mark.few(1)
def test_rows_whose_values_do_not_fit_are_trained_alike(method: IAKConfig) -> None:
    for one, other in zip(
        chosen(method, [0, 1], 1), chosen(method, [0, 1], 1, cache=0), strict=True
    ):
        assert one.report.select_loss == pytest.approx(other.report.select_loss, rel=1e-4)
