"""A DeepFM of torch-rechub (``pip install torch-rechub``) under Driftune, as the library has it.

Copy this file and ``outside.py`` into the folder of params.yaml, train it there by
``python deepfm.py LOGS…``, and write into params.yaml::

    recommender:
      factory: deepfm:make
      weights: deepfm.safetensors
      options: {vocabulary: deepfm.vocabulary.json}
      code: [outside.py, deepfm.vocabulary.json]   # a change of these makes another model, too
      columns: [user, item, category, domain, price]
    adapter: {at: auto}
    gate: {metric: ctr_auc}

The model predicts clicks alone. ``driftune pretrain`` then takes it up.
"""

import sys
from pathlib import Path

import pyarrow as pa
import torch
from outside import Logged, read_logs, read_vocabulary, save, write_vocabulary
from torch import Tensor
from torch_rechub.basic.features import DenseFeature, SparseFeature
from torch_rechub.models.ranking import DeepFM

from driftune.models.columns import ids_of, numbers_of
from driftune.models.recommender import EncodedRows, Recommender, Schema

FOLDER = Path(__file__).parent
FIELDS = ("user", "item", "category", "domain")


class LibraryDeepFM(Recommender):
    """The library's model, which takes columns by name and gives probabilities."""

    conversions = False

    def __init__(self, vocabulary: dict[str, pa.Array], embedding: int, hidden: list[int]) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        # Place 0 is null and what training never saw.
        sparse = [SparseFeature(name, len(vocabulary[name]) + 1, embedding) for name in FIELDS]
        numbers = [DenseFeature("price")]
        self.library = DeepFM([*sparse, *numbers], sparse, {"dims": hidden, "dropout": 0.1})

    def inputs(self, rows: EncodedRows) -> tuple[Tensor, ...]:
        """Ids of the fields, then the price, (rows,) each."""
        ids = [ids_of(rows.table[name], self.vocabulary[name]) for name in FIELDS]
        return (*ids, numbers_of(rows.table["price"]).clamp(min=0).log1p())

    def forward(self, *columns: Tensor) -> Tensor:
        """The logit of pCTR, (rows,)."""
        named = dict(zip((*FIELDS, "price"), columns, strict=True))
        # The library ends in a sigmoid, adapters are trained on logits.
        return torch.logit(self.library(named), eps=1e-6)


def make(
    schema: Schema, vocabulary: str, embedding: int = 8, hidden: tuple[int, ...] = (32, 16)
) -> Recommender:
    """What ``recommender.factory`` names; ``vocabulary``: a file beside this one."""
    return LibraryDeepFM(read_vocabulary(FOLDER / vocabulary), embedding, [*hidden])


def train(logs: list[Path], epochs: int = 3) -> None:
    """Train by the library's own trainer; weights and vocabulary are written beside this file."""
    from torch_rechub.trainers import CTRTrainer
    from torch_rechub.utils.data import TorchDataset

    torch.manual_seed(7)
    table = read_logs(logs)
    write_vocabulary(FOLDER / "deepfm.vocabulary.json", table, FIELDS)
    model = make(Schema((), (), (), (), 0), "deepfm.vocabulary.json")
    columns = dict(zip((*FIELDS, "price"), model.inputs(Logged(table)), strict=True))
    rows = TorchDataset(columns, torch.tensor(table["click"].to_numpy()))
    trainer = CTRTrainer(
        model.library,
        optimizer_params={"lr": 5e-3, "weight_decay": 1e-5},
        n_epoch=epochs,
        model_path=str(FOLDER),
    )
    trainer.fit(torch.utils.data.DataLoader(rows, batch_size=512, shuffle=True))
    (FOLDER / "model.pth").unlink()
    save(model, FOLDER / "deepfm.safetensors")


if __name__ == "__main__":
    train([Path(name) for name in sys.argv[1:]])
