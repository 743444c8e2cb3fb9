"""A SASRec (Kang & McAuley, 2018, arXiv 1808.09781): what a user clicked, in order, says what next.

Copy this file and ``outside.py`` into the folder of params.yaml, train it there by
``python sasrec.py LOGS…``, and write into params.yaml::

    recommender:
      factory: sasrec:make
      weights: sasrec.safetensors
      options: {vocabulary: sasrec.vocabulary.json, width: 16}
      code: [outside.py, sasrec.vocabulary.json]   # a change of these makes another model, too
      columns: [item, category]
      history: {of: clicks, columns: [item, category], length: 20}
    adapter: {at: auto}
    gate: {metric: ctr_auc}

The model predicts clicks alone. ``driftune pretrain`` then takes it up.
"""

import sys
from pathlib import Path

import pyarrow as pa
import torch
from outside import fit, read_logs, read_vocabulary, save, write_vocabulary
from torch import Tensor, nn
from torch.nn import functional

from driftune.models.columns import ids_of, padded_ids
from driftune.models.recommender import EncodedRows, Recommender, Schema

FOLDER = Path(__file__).parent
FIELDS = ("item", "category")


class Block(nn.Module):
    """Self-attention and a feed-forward layer, each added to what it was given."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.parts, self.mixed = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, past: Tensor, seen: Tensor) -> Tensor:
        """``past`` (rows, length, width); ``seen`` (rows, length, length): who sees whom."""
        query, key, value = self.parts(self.norms[0](past)).chunk(3, dim=-1)
        found = functional.scaled_dot_product_attention(query, key, value, attn_mask=seen)
        past = past + self.mixed(found)
        return past + self.feed(self.norms[1](past))


class SASRec(Recommender):
    """What the past says, and its dot product with the item."""

    conversions = False

    def __init__(self, vocabulary: dict[str, pa.Array], length: int, width: int) -> None:
        super().__init__()
        self.vocabulary, self.length = vocabulary, length
        item, category = (len(vocabulary[name]) + 1 for name in FIELDS)
        self.item = nn.Embedding(item, width, padding_idx=0)
        self.category = nn.Embedding(category, width, padding_idx=0)
        self.place = nn.Parameter(torch.randn(length, width) * 0.1)
        self.blocks = nn.ModuleList(Block(width) for _ in range(2))
        self.norm = nn.LayerNorm(width)
        self.user = nn.Linear(width, width)
        self.worth = nn.Embedding(item, 1)
        for table in (self.item, self.category, self.worth):
            nn.init.normal_(table.weight, std=0.1)

    def default_places(self) -> list[str]:
        """What ``adapter.at: auto`` stands for: what a domain's users want, after all blocks."""
        return ["user"]

    def inputs(self, rows: EncodedRows) -> tuple[Tensor, ...]:
        """Item and category (rows,), and those of the past (rows, length), padded in front."""
        found = [ids_of(rows.table[name], self.vocabulary[name]) for name in FIELDS]
        for name in FIELDS:
            lists = rows.table[f"history_{name}"]
            found.append(padded_ids(lists, self.vocabulary[name], self.length))
        return tuple(found)

    def forward(self, item: Tensor, category: Tensor, items: Tensor, categories: Tensor) -> Tensor:
        """The logit of pCTR, (rows,)."""
        past = self.item(items) + self.category(categories) + self.place
        # Each event sees those before it. Padding sees itself: a softmax of nothing would be NaN.
        itself = torch.eye(self.length, dtype=torch.bool, device=items.device)
        seen = torch.ones_like(itself).tril() & ((items > 0) | (categories > 0)).unsqueeze(1)
        for block in self.blocks:
            past = block(past, seen | itself)
        wanted = self.user(self.norm(past[:, -1]))
        offered = self.item(item) + self.category(category)
        return (wanted * offered).sum(1) / offered.shape[1] ** 0.5 + self.worth(item).squeeze(1)


def make(schema: Schema, vocabulary: str, width: int = 16) -> Recommender:
    """What ``recommender.factory`` names; ``vocabulary``: a file beside this one."""
    return SASRec(read_vocabulary(FOLDER / vocabulary), schema.history, width)


def train(logs: list[Path], length: int = 20) -> None:
    """Train on log files; weights and vocabulary are written beside this file."""
    torch.manual_seed(7)
    table = read_logs(logs, length)
    write_vocabulary(FOLDER / "sasrec.vocabulary.json", table, FIELDS)
    model = make(Schema((), (), (), (), length), "sasrec.vocabulary.json")
    fit(model, table)
    save(model, FOLDER / "sasrec.safetensors")


if __name__ == "__main__":
    train([Path(name) for name in sys.argv[1:]])
