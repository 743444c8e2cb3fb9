"""A large backbone with random weights, and streams of rows for it: speed does not depend on taste.

104 fields of 200,000 ids, embedding dimension 16 (333 million parameters), MLP 1024-512-256.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Shape:
    """Sizes of the backbone."""

    fields: int = 104
    ids: int = 200_000
    embedding: int = 16
    hidden: tuple[int, ...] = (1024, 512, 256)


QUICK = Shape(fields=24, ids=20_000)


class Representation(nn.Module):
    """Embedded fields, one after the other: (rows, fields · embedding)."""

    def __init__(self, shape: Shape, sparse: bool) -> None:
        super().__init__()
        self.table = nn.Embedding(shape.fields * shape.ids, shape.embedding, sparse=sparse)
        with torch.no_grad():
            self.table.weight.uniform_(-0.05, 0.05)
        self.starts: Tensor
        self.register_buffer("starts", torch.arange(shape.fields) * shape.ids)

    def forward(self, ids: Tensor) -> Tensor:
        """Embed ids (rows, fields)."""
        return self.table(ids + self.starts).flatten(1)


class Large(nn.Module):
    """A representation and one tower: the logit of a click, (rows,)."""

    def __init__(self, shape: Shape, sparse: bool = False) -> None:
        super().__init__()
        self.representation = Representation(shape, sparse)
        layers: list[nn.Module] = []
        width = shape.fields * shape.embedding
        for size in shape.hidden:
            layers += [nn.Linear(width, size), nn.ReLU()]
            width = size
        self.mlp = nn.Sequential(*layers, nn.Linear(width, 1))

    def forward(self, ids: Tensor) -> Tensor:
        """Logits (rows,) from ids (rows, fields)."""
        return self.mlp(self.representation(ids)).squeeze(1)


def zipf(count: int, domains: int, exponent: float = 1.0, seed: int = 0) -> Tensor:
    """Domains of ``count`` rows, (count,), drawn with Zipf-like shares."""
    shares = 1.0 / torch.arange(1, domains + 1, dtype=torch.float64) ** exponent
    generator = torch.Generator().manual_seed(seed)
    return torch.multinomial(shares, count, replacement=True, generator=generator)


def draw_ids(shape: Shape, count: int, seed: int = 0) -> Tensor:
    """Ids (count, fields), popular ones more often."""
    generator = torch.Generator().manual_seed(seed)
    uniform = torch.rand(count, shape.fields, generator=generator)
    return (uniform.square() * shape.ids).long()
