"""A DLRM (Naumov et al., 2019, arXiv 1906.00091): bags of ids, dot products, two towers.

Copy this file and ``outside.py`` into the folder of params.yaml, train it there by
``python dlrm.py LOGS…``, and write into params.yaml::

    recommender:
      factory: dlrm:make
      weights: dlrm.safetensors
      options: {vocabulary: dlrm.vocabulary.json, width: 8}
      code: [outside.py, dlrm.vocabulary.json]   # a change of these makes another model, too
      columns: [user, item, category, domain, hour, price]
      history: {of: clicks, columns: [item, category], length: 20}
    adapter: {at: auto}

``driftune pretrain`` then takes it up.
"""

import math
import sys
from pathlib import Path

import pyarrow as pa
import torch
from outside import fit, read_logs, read_vocabulary, save, write_vocabulary
from torch import Tensor, nn

from driftune.models.columns import ids_of, numbers_of, padded_ids
from driftune.models.recommender import EncodedRows, Recommender, Schema

FOLDER = Path(__file__).parent
FIELDS = ("user", "item", "category", "domain")
BAGS = ("history_item", "history_category")


class DLRM(Recommender):
    """Tables of ids and bags, a bottom MLP of numbers, their dot products, and two top MLPs."""

    def __init__(self, vocabulary: dict[str, pa.Array], length: int, width: int) -> None:
        super().__init__()
        self.vocabulary, self.length = vocabulary, length
        self.tables = nn.ModuleDict()
        for name in (*FIELDS, *BAGS):
            size = len(vocabulary[name.removeprefix("history_")]) + 1
            # A bag without an id has the vector zero: 0 pads, and is what training never saw.
            self.tables[name] = nn.EmbeddingBag(size, width, mode="mean", padding_idx=0)
        self.bottom = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, width), nn.ReLU())
        vectors = len(self.tables) + 1
        self.register_buffer("pairs", torch.tril_indices(vectors, vectors, -1), persistent=False)
        pairs = vectors * (vectors - 1) // 2
        self.click_top, self.convert_top = (
            nn.Sequential(nn.Linear(vectors * width + pairs, 32), nn.ReLU(), nn.Linear(32, 1))
            for _ in range(2)
        )

    def inputs(self, rows: EncodedRows) -> tuple[Tensor, ...]:
        """Ids (rows, 1), bags (rows, length) padded by 0, and numbers (rows, 3)."""
        table = rows.table
        ids = [ids_of(table[name], self.vocabulary[name]).unsqueeze(1) for name in FIELDS]
        bags = [
            padded_ids(table[name], self.vocabulary[name.removeprefix("history_")], self.length)
            for name in BAGS
        ]
        price = numbers_of(table["price"]).clamp(min=0).log1p()
        angle = numbers_of(table["hour"]) * (2 * math.pi / 24)
        numbers = torch.stack([price, angle.sin(), angle.cos()], dim=1)
        return (*ids, *bags, numbers)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """The logits of pCTR and pCVR, (rows,) each."""
        *ids, numbers = inputs
        found = [table(each) for table, each in zip(self.tables.values(), ids, strict=True)]
        vectors = torch.stack([*found, self.bottom(numbers)], dim=1)
        products = torch.bmm(vectors, vectors.mT)[:, self.pairs[0], self.pairs[1]]
        seen = torch.cat([vectors.flatten(1), products], dim=1)
        return self.click_top(seen).squeeze(1), self.convert_top(seen).squeeze(1)


def make(schema: Schema, vocabulary: str, width: int = 8) -> Recommender:
    """What ``recommender.factory`` names; ``vocabulary``: a file beside this one."""
    return DLRM(read_vocabulary(FOLDER / vocabulary), schema.history, width)


def train(logs: list[Path], length: int = 20) -> None:
    """Train on log files; weights and vocabulary are written beside this file."""
    torch.manual_seed(7)
    table = read_logs(logs, length)
    write_vocabulary(FOLDER / "dlrm.vocabulary.json", table, FIELDS)
    model = make(Schema((), (), (), (), length), "dlrm.vocabulary.json")
    fit(model, table)
    save(model, FOLDER / "dlrm.safetensors")


if __name__ == "__main__":
    train([Path(name) for name in sys.argv[1:]])
