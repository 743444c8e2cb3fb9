"""Cross-fitting: blocks that are left out choose start, window, β and epochs, all rows train."""

import copy
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

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
    fingerprint,
)
from driftune.models.adapters.crossfit import folds_of
from tests.models.adapters.conftest import WIDTH, Heads

PLACES = ["representation", "click.1"]
CONFIG = TrainConfig(epochs=4, batch_size=64, min_batch=64, learning_rate=1e-2, seed=3)


def rows(count: int, seed: int, learnable: bool = False) -> Examples:
    """Rows whose clicks follow from the first feature, or from nothing."""
    draw = torch.Generator().manual_seed(seed)
    h = torch.randn(count, WIDTH, generator=draw)
    chance = torch.sigmoid(4 * h[:, 0]) if learnable else torch.full((count,), 0.4)
    click = (torch.rand(count, generator=draw) < chance).float()
    return Examples((h,), (click, click), torch.zeros(count, dtype=torch.long))


def start(places: Sequence[str]) -> Adapter:
    torch.manual_seed(1)
    with attach(Heads(), IAKConfig(4, 8), PLACES, ["new"], seed=5) as adapted:
        adapted.build(torch.ones(2, WIDTH))
        kernels = dict(copy.deepcopy(adapted.adapter("new")).items())
    return Adapter({place: kernels[place] for place in places})


def choice(
    number: int,
    folds: int,
    checkpoint: Path | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Choice:
    """A domain's choice between the two places, one after the other and together."""
    return Choice(
        str(number),
        start(PLACES[:1]),
        rows(150 + 30 * number, number, learnable=True),
        [0, 70],
        rows(60, 9 + number, learnable=True),
        [0.0, 0.01],
        CONFIG,
        checkpoint,
        others=[start(PLACES[1:]), start(PLACES)],
        folds=folds,
        progress=progress,
    )


def chosen(choices: Sequence[Choice], workers: int = 1) -> list[Chosen]:
    torch.manual_seed(1)
    with attach(Heads(), AdapterBank(), PLACES) as adapted:
        found = choose_together(adapted, choices, workers)
    made = [each for each in found if isinstance(each, Chosen)]
    assert len(made) == len(found), found
    return made


def test_each_block_is_left_out_once_and_what_is_older_always_trains() -> None:
    older, newest = torch.arange(3, 10), torch.arange(5)
    parts = folds_of(older, newest, 2)
    assert [each.select.tolist() for each in parts] == [[10, 11, 12], [13, 14]]
    assert [each.train.tolist() for each in parts] == [
        [*range(3, 10), 13, 14],
        [*range(3, 13)],
    ]


def test_what_the_folds_choose_is_the_best_of_their_mean_losses_and_trains_on_all_rows() -> None:
    (found,) = chosen([choice(0, 3)])
    report = found.report
    assert report.select_loss[report.best_epoch] == min(report.select_loss)
    assert report.best_epoch > 0
    assert report.rows == (210, 140)[found.window]
    assert found.adapter.places == tuple((PLACES[:1], PLACES[1:], PLACES)[found.start])
    # No other start alone does better on the same blocks.
    for number, places in enumerate((PLACES[:1], PLACES[1:], PLACES)):
        alone = choice(0, 3)
        one = Choice(**{**vars(alone), "start": start(places), "others": ()})
        (single,) = chosen([one])
        least = min(single.report.select_loss)
        assert least >= min(report.select_loss)
        if number == found.start:
            assert fingerprint(single.adapter) == fingerprint(found.adapter)


def test_a_domain_becomes_the_same_alone_beside_others_and_by_threads() -> None:
    alone = [fingerprint(chosen([choice(n, 3)])[0].adapter) for n in range(2)]
    for workers in (1, 2):
        together = chosen([choice(n, 3) for n in range(2)], workers)
        assert [fingerprint(each.adapter) for each in together] == alone


def test_rows_without_anything_to_learn_keep_the_start() -> None:
    given = choice(0, 2)
    noise = {"examples": rows(200, 1), "select": rows(80, 2)}
    (found,) = chosen([Choice(**{**vars(given), **noise})])
    assert found.report.best_epoch == found.report.epochs_run
    assert found.report.select_loss[found.report.best_epoch] <= found.report.select_loss[0]


@pytest.mark.parametrize("stop_at", [2, 6])
def test_a_stopped_choice_goes_on_to_the_same_adapter(tmp_path: Path, stop_at: int) -> None:
    (whole,) = chosen([choice(0, 2)])
    told: list[int] = []

    def stop(*_: object) -> None:
        told.append(1)
        if len(told) == stop_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        chosen([choice(0, 2, tmp_path / "epochs", progress=stop)])
    (again,) = chosen([choice(0, 2, tmp_path / "epochs")])
    assert fingerprint(again.adapter) == fingerprint(whole.adapter)


def test_fewer_selection_rows_than_folds_make_fewer_folds() -> None:
    given = choice(0, 5)
    few = Choice(**{**vars(given), "select": rows(2, 3, learnable=True)})
    (found,) = chosen([few])
    assert few.blocks == 2
    assert found.report.rows == (152, 82)[found.window]
