"""Taking up a recommender of the user's own: what is written, and what is refused before it is."""

import logging
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from driftune.models.backbone import trained_until
from driftune.registry.ledger import Ledger
from driftune.training.own import _begin
from driftune.training.pretrain import backbone_folder, pretrain
from tests.conftest import REFERENCE_DAYS, World

CODE = """
import torch
from torch import nn
from driftune.models.recommender import Recommender


class Mine(Recommender):
    def __init__(self, **given):
        super().__init__()
        self.conversions = given.get("conversions", False)
        self.given = given
        self.body = nn.Linear(2, 8)
        self.pair = Pair()

    def inputs(self, rows):
        return (rows.ids[:, :2].float(),)

    def forward(self, both):
        hidden = self.pair(self.body(both))[0]
        return eval(self.given.get("gives", "hidden.mean(1)"))

    def default_places(self):
        return self.given.get("places", ["body"])


class Pair(nn.Module):
    def forward(self, hidden):
        return hidden, hidden


def make(schema, **options):
    return Mine(**options)
"""


def owning(world: World, at: Any = "auto", **changes: Any) -> World:
    """The world with a recommender of its own, a few lines in its folder."""
    own = {"factory": "mine:make", "weights": "mine.safetensors", **changes}
    metric = own.pop("metric", "ctr_auc")
    found = World(world.root, recommender=own, adapter={"at": at}, gate={"metric": metric})
    (world.root / "mine.py").write_text(CODE)
    torch.manual_seed(0)
    weights = {"body.weight": 0.1 * torch.randn(8, 2), "body.bias": torch.zeros(8)}
    save_file(weights, world.root / "mine.safetensors")
    return found


def taken_up(world: World) -> None:
    """Take it up."""
    with Ledger(world.config) as ledger:
        pretrain(world.config, ledger)


@pytest.mark.parametrize("day", [0, 1, REFERENCE_DAYS, REFERENCE_DAYS + 5])
def test_rows_until_the_stated_day_count_as_trained_on(
    day: int, ingested_world: World, caplog: pytest.LogCaptureFixture
) -> None:
    said = str(ingested_world.day(day))
    world = owning(ingested_world, trained_until=said)
    with caplog.at_level(logging.WARNING, "driftune"):
        taken_up(world)
    until = trained_until(backbone_folder(world.config))
    begin = _begin(world.config, world.day(day))
    assert len(until.by_domain) == 4
    assert {*until.by_domain.values(), until.otherwise} == {begin}
    if day >= REFERENCE_DAYS:
        assert f"name more reference days from recommender.trained_until = {said} on" in caplog.text
        assert "reference.holdout" not in caplog.text
