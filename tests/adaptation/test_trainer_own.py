"""A training job of the user's own, of a recommender of the user's own: both in one project."""

import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from driftune.adaptation.finetune import finetune
from driftune.adaptation.outside.given import GivenRows, load_given
from driftune.adaptation.outside.job import prepare
from driftune.config.trainer import Trainer
from driftune.errors import OvertakenError
from driftune.features.encoder import number_names
from driftune.models.adapters import load_adapter
from driftune.registry.ledger import Ledger
from driftune.training.pretrain import pretrain
from tests.adaptation.trainers import documented, name_trainer
from tests.conftest import World
from tests.crowning import bench, pending

CODE = """
import torch
import pyarrow.compute as pc
from torch import nn
from driftune.models.recommender import Recommender

class Small(Recommender):
    conversions = False

    def __init__(self, width):
        super().__init__()
        self.body = nn.Linear(width + 1, 8)
        self.head = nn.Linear(8, 1)

    def inputs(self, rows):
        lengths = pc.list_value_length(rows.table["history_item"]).to_numpy()
        return rows.numbers, torch.tensor(lengths, dtype=torch.float32)

    def forward(self, numbers, past):
        return self.head(self.body(torch.cat([numbers, past[:, None]], 1)).relu())[:, 0]

def make(schema):
    return Small(len(schema.numbers))
"""


@pytest.fixture
def own_world(next_day_world: World) -> World:
    """A world whose recommender, which reads its users' pasts, is one of its own."""
    root = next_day_world.root
    own = {"factory": "theirs:make", "weights": "theirs.safetensors"}
    past = {"of": "impressions", "columns": ["item"], "length": 5}
    world = World(
        root,
        recommender={**own, "columns": ["item"], "history": past},
        adapter={"at": "auto"},
        gate={"metric": "ctr_auc"},
    )
    (root / "theirs.py").write_text(CODE)
    width = len(number_names(world.config))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        shapes = {"body.weight": (8, width + 1), "body.bias": (8,), "head.weight": (1, 8)}
        tensors = {name: 0.1 * torch.randn(shape) for name, shape in shapes.items()}
    save_file({**tensors, "head.bias": torch.zeros(1)}, root / "theirs.safetensors")
    with Ledger(world.config) as ledger:
        pretrain(world.config, ledger)
    return world


@pytest.mark.trains
@pytest.mark.slow
@pytest.mark.ci
def test_the_documented_script_adapts_a_recommender_of_one_s_own(
    own_world: World, tmp_path: Path
) -> None:
    world, script = own_world, documented(own_world.root)
    script.write_text(script.read_text().replace('"click_tower.0"', '"body"'))
    name_trainer(world, [sys.executable, str(script)])
    decision = pending(world, world.day(3))
    with Ledger(world.config) as ledger:
        work = bench(world.config, ledger, decision)
        folder = tmp_path / "attempt"
        folder.mkdir()
        attempt = prepare(work, Trainer(command=["x"]), folder)
        job = json.loads(attempt.file.read_text())
        given = load_given(job)
        assert given.backbone == work.served.backbone == job["backbone_fingerprint"]
        assert job["columns"] == ["item", "history_item"]
        for name, rows in (("train", work.split.train), ("select", work.split.select)):
            found: GivenRows = given.rows(job[name]["path"])
            assert found.table.to_pydict() == rows.table.to_pydict()
            assert any(map(len, found.table["history_item"].to_pylist()))
            pairs = zip(*map(work.served.model.inputs, (found, rows)), strict=True)
            assert all(torch.equal(one, other) for one, other in pairs)
        with pytest.raises(OvertakenError, match="the model changed"):
            load_given({**job, "backbone_fingerprint": "f" * 64})
        assert finetune(work).trainer == "command"
        adapter, _ = load_adapter(work.folder, backbone=work.served.backbone)
        assert adapter.places == ("body",)
