"""Taking up a recommender of the user's own: what is written, and what is refused before it is."""

import logging
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from driftune.errors import BackboneError, ConfigError
from driftune.models.backbone import trained_until
from driftune.registry.ledger import Ledger
from driftune.training.own import _begin
from driftune.training.pretrain import backbone_folder, load_model, pretrain
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
@pytest.mark.slow
@pytest.mark.ci
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


PAIR = {"conversions": True, "gives": "(hidden.mean(1), hidden.sum(1))"}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a place misspelt": ({"at": ["bdy"]}, "adapter.at: no module 'bdy' to attach to; there are: b"),
    "a place of two tensors": ({"at": ["pair"]}, "adapter.at: 'pair' gives a tuple, a kernel take"),
    "no place": ({"options": {"places": []}}, "names no place; name modules in adapter.at (the m"),
    "default_places": ({"options": {"places": 3}}, "its default_places fails (TypeError: 'int'"),
    "a pair of clicks": (
        {"options": {"gives": "(hidden.mean(1), hidden.sum(1))"}},
        "forward gives a tuple, and conversions = False asks for one tensor",
    ),
    "one logit of two": (
        {"options": {"conversions": True}},
        "forward gives one tensor, and conversions = True asks for the logits",
    ),
    "a column": ({"options": {"gives": "hidden[:, :1]"}}, "it must be (256,); squeeze(1)"),
    "numbers that are none": ({"options": {"gives": "hidden.mean(1) / 0 * 0"}}, "are no numbers"),
    "its code": ({"options": {"gives": "[][0]"}}, "(IndexError: list index out of range); driftun"),
    "any error": ({"options": {"gives": "1 / 0"}}, "(ZeroDivisionError: division by zero); drift"),
    "a metric": ({"metric": "ctcvr_auc"}, "but mine:make predicts no conversions; write ctr_auc"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.few(1)
def test_what_cannot_serve_is_not_taken_up(name: str, ingested_world: World) -> None:
    changes, said = REFUSED[name]
    world = owning(ingested_world, **changes)
    with pytest.raises((BackboneError, ConfigError)) as refused:
        taken_up(world)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (backbone_folder(world.config) / "backbone.json").exists()


@pytest.mark.slow
@pytest.mark.ci
def test_a_model_of_both_logits_is_taken_up(ingested_world: World) -> None:
    world = owning(ingested_world, options=PAIR, metric="ctcvr_auc", at=["body"])
    taken_up(world)
    assert load_model(world.config)[1].conversions


@pytest.mark.slow
@pytest.mark.ci
def test_a_metric_that_it_does_not_predict_is_refused_when_it_is_loaded(
    ingested_world: World,
) -> None:
    world = owning(ingested_world)
    taken_up(world)
    load_model(world.config)
    with pytest.raises(ConfigError, match=r"mine:make predicts no conversions; write ctr_auc$"):
        load_model(owning(ingested_world, metric="ctcvr_auc").config)


@pytest.mark.slow
@pytest.mark.ci
def test_files_that_the_fingerprint_does_not_cover_are_told(
    ingested_world: World, caplog: pytest.LogCaptureFixture
) -> None:
    root = ingested_world.root
    options = {"table": "ids.json", "note": "x" * 5000, "width": 3, "none": "not-there.json"}
    world = owning(ingested_world, options=options)
    (root / "mine.py").write_text(CODE + "\n\ndef lazily():\n    import nets\n")
    (root / "nets.py").write_text("")
    (root / "ids.json").write_text("[]")
    with caplog.at_level(logging.WARNING, "driftune"):
        taken_up(world)
    assert "a change of ids.json or nets.py would go unseen" in caplog.text
    assert caplog.text.count("add to recommender.code: [ids.json, nets.py]") == 1
    caplog.clear()
    world = World(
        root,
        recommender=world.config.recommender.model_dump(mode="json")
        | {"code": ["ids.json", "nets.py"]},
        adapter={"at": "auto"},
        gate={"metric": "ctr_auc"},
    )
    with caplog.at_level(logging.WARNING, "driftune"):
        taken_up(world)
    assert "would go unseen" not in caplog.text
