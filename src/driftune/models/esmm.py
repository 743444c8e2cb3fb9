"""The built-in recommender: shared embeddings and two towers in ESMM form.

ESMM (Ma et al., SIGIR 2018, arXiv 1804.07931) learns pCTR and pCTCVR = pCTR · pCVR over all
impressions, so that the conversion tower is not trained on clicked rows alone.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn

from driftune.models.recommender import EncodedRows, Recommender

Shape: TypeAlias = Mapping[str, int | list[int]]


class Representation(nn.Module):
    """Embedded fields and numbers, concatenated."""

    starts: Tensor

    def __init__(self, sizes: Sequence[int], numbers: int, embedding: int) -> None:
        super().__init__()
        self.table = nn.Embedding(sum(sizes), embedding)
        nn.init.normal_(self.table.weight, std=0.05)
        starts = torch.tensor([0, *sizes[:-1]]).cumsum(0)
        self.register_buffer("starts", starts)
        self.width = len(sizes) * embedding + numbers

    def forward(self, ids: Tensor, numbers: Tensor) -> Tensor:
        """Map ids (rows, fields) and numbers (rows, numbers) to (rows, width)."""
        embedded: Tensor = self.table(ids + self.starts).flatten(1)
        return torch.cat([embedded, numbers], dim=1)


def _tower(width: int, hidden: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for size in hidden:
        layers += [nn.Linear(width, size), nn.ReLU()]
        width = size
    return nn.Sequential(*layers, nn.Linear(width, 1))


class ESMM(Recommender):
    """Click and conversion logits from encoded impressions.

    ``shape``: JSON-safe arguments that make the same model again.
    """

    def __init__(
        self, sizes: Sequence[int], numbers: int, embedding: int, hidden: Sequence[int]
    ) -> None:
        super().__init__()
        self.sizes = list(sizes)
        self.shape: Shape = {
            "sizes": self.sizes,
            "numbers": numbers,
            "embedding": embedding,
            "hidden": list(hidden),
        }
        self.representation = Representation(sizes, numbers, embedding)
        self.click_tower = _tower(self.representation.width, hidden)
        self.convert_tower = _tower(self.representation.width, hidden)

    def forward(self, ids: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of pCTR and pCVR, (rows,) each."""
        hidden = self.representation(ids, numbers)
        return self.click_tower(hidden).squeeze(1), self.convert_tower(hidden).squeeze(1)

    def inputs(self, rows: EncodedRows) -> tuple[Tensor, Tensor]:
        """See ``Recommender.inputs``: ids (rows, fields) and numbers (rows, numbers)."""
        return rows.ids, rows.numbers

    def click_logit(self, *inputs: Tensor) -> Tensor:
        """See ``Recommender.click_logit``: one tower, for half the work of both."""
        logit: Tensor = self.click_tower(self.representation(*inputs)).squeeze(1)
        return logit

    def default_places(self) -> list[str]:
        """See ``Recommender.default_places``: behind the first hidden layer of each tower.

        Of the clicks' alone where the log tells no conversions.
        """
        return ["click_tower.1", "convert_tower.1"] if self.converts else ["click_tower.1"]

    def field_vectors(self, field: int) -> Tensor:
        """See ``Recommender.field_vectors``: the rows of the field in the embedding table."""
        first = int(self.representation.starts[field])
        return self.representation.table.weight[first : first + self.sizes[field]]
