"""The phases of a training: which parameters move in each, and β's way up."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from driftune.models.adapters import Adapter, Examples, IAKConfig, IAKKernel, TrainConfig, attach
from driftune.models.adapters import train as train_adapters
from driftune.models.adapters.learners import Learner, Own

PLACE = "representation"
CONFIG = TrainConfig(epochs=5, patience=2, batch_size=128, learning_rate=5e-3, seed=1)
COMPRESSION = {"encoder", "mean", "rho", "general"}
MATCHING, PRIOR = {"learner", "matched"}, {"prior_mean", "prior_rho"}
ALL = COMPRESSION | MATCHING | PRIOR


def _moved(planted: Any, config: IAKConfig, epochs: int) -> list[set[str]]:
    """The parts of the kernel that each epoch moves."""
    h, click, convert = planted.train
    rows = Examples((h,), (click, convert), torch.zeros(len(h), dtype=torch.long))
    with attach(planted.heads, config, PLACE, ["a"], seed=2) as adapted:
        adapted.build(h)
        kernel = adapted.adapter("a").at(PLACE)
        assert isinstance(kernel, IAKKernel)
        states = [_state(kernel)]
        train_adapters(
            adapted,
            rows,
            None,
            replace(CONFIG, epochs=epochs),
            progress=lambda *_: states.append(_state(kernel)),
        )
    return [
        {name.split(".")[0] for name, each in before.items() if not torch.equal(each, after[name])}
        for before, after in pairwise(states)
    ]


def _state(kernel: IAKKernel) -> dict[str, Tensor]:
    return {name: each.detach().clone() for name, each in kernel.named_parameters()}


@pytest.mark.parametrize("combine", ["residual", "replace"])
def test_joint_training_moves_everything(planted: Any, combine: Any) -> None:
    assert _moved(planted, IAKConfig(4, 16, combine), 2) == [ALL, ALL]


@pytest.mark.parametrize("combine", ["residual", "replace"])
def test_compression_leaves_the_learner_and_matching_moves_it_alone(
    planted: Any, combine: Any
) -> None:
    moved = _moved(planted, IAKConfig(4, 16, combine, compress_epochs=2), 4)
    assert moved == [COMPRESSION | PRIOR] * 2 + [MATCHING] * 2


def test_the_warm_start_leaves_the_prior(planted: Any) -> None:
    moved = _moved(planted, IAKConfig(4, 16, "replace", warm_epochs=2), 3)
    assert moved == [COMPRESSION | MATCHING] * 2 + [ALL]


def test_phases_follow_one_another(planted: Any) -> None:
    config = IAKConfig(4, 16, "replace", warm_epochs=1, compress_epochs=1)
    moved = _moved(planted, config, 3)
    assert moved == [COMPRESSION | MATCHING, COMPRESSION | PRIOR, MATCHING]


@pytest.mark.slow
@pytest.mark.ci
def test_the_warm_start_brings_a_replace_kernel_near_the_base(planted: Any) -> None:
    h, click, convert = planted.train
    rows = Examples((h,), (1 - click, convert * 0), torch.zeros(len(h), dtype=torch.long))
    with attach(planted.heads, IAKConfig(12, 64, "replace", warm_epochs=40), PLACE, ["a"]) as model:
        train_adapters(model, rows, None, replace(CONFIG, epochs=40))
        kernel = model.adapter("a").at(PLACE)
        assert isinstance(kernel, IAKKernel)
        with torch.no_grad():
            error = ((kernel(h).h - h) / kernel.scale).square().mean()
    assert float(error) < 0.1


def _learner(config: IAKConfig, **changes: Any) -> Learner:
    rows, options = torch.arange(20), replace(CONFIG, **changes)
    adapter = Adapter({PLACE: IAKKernel(4, config)})
    return Learner("a", 0, adapter, Own(rows, rows[:0]), 8, options, options.epochs)


def test_beta_rises_evenly_after_the_warm_start() -> None:
    learner = _learner(IAKConfig(3, 5, beta=0.8, anneal_epochs=4, warm_epochs=2), epochs=8)
    taken = []
    for epoch in range(1, 9):
        learner.start(epoch)
        taken.append((learner.warms, learner.phases["iak"].beta))
    assert [warms for warms, _ in taken] == [True] * 2 + [False] * 6
    assert [beta for _, beta in taken[2:]] == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8, 0.8])


def test_without_annealing_beta_is_full_from_the_start() -> None:
    learner = _learner(IAKConfig(3, 5, beta=0.8))
    learner.start(1)
    assert (learner.phases["iak"].beta, learner.warms) == (0.8, False)


@pytest.mark.parametrize(("warm", "compress"), [(0, 0), (2, 0), (0, 2), (1, 2)])
def test_patience_counts_from_the_end_of_the_first_phases(warm: int, compress: int) -> None:
    learner = _learner(IAKConfig(3, 5, warm_epochs=warm, compress_epochs=compress), epochs=20)
    learner.note(1.0)
    epoch = 1
    while learner.goes_on(epoch):
        learner.note(2.0)
        epoch += 1
    assert learner.epochs_run == warm + compress + 2
    assert learner.best_epoch == 0


def test_every_epoch_passes_every_row_once_in_an_order_of_its_own() -> None:
    learner = _learner(IAKConfig(3, 5))
    orders = []
    for epoch in (1, 2):
        batches = learner.start(epoch)
        assert [len(batch) for batch in batches] == [8, 8, 4]
        orders.append(torch.cat(batches).tolist())
    assert [sorted(order) for order in orders] == [list(range(20))] * 2
    assert orders[0] != orders[1]
