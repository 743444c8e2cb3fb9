"""Recommenders that the adapters were not written for."""

import torch
from torch import Tensor, nn


class DLRM(nn.Module):
    """Embeddings and a bottom MLP, pairwise dot products, a top MLP (arXiv 1906.00091)."""

    places = ("top.1", "bottom")

    def __init__(self) -> None:
        super().__init__()
        self.bottom = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
        self.tables = nn.ModuleList(nn.Embedding(size, 4) for size in (10, 20))
        self.top = nn.Sequential(nn.Linear(7, 8), nn.ReLU(), nn.Linear(8, 1))

    def forward(self, numbers: Tensor, ids: Tensor) -> Tensor:
        """Logits (rows,) from numbers (rows, 3) and ids (rows, 2)."""
        dense = self.bottom(numbers)
        embedded = [table(ids[:, n]) for n, table in enumerate(self.tables)]
        fields = torch.stack([dense, *embedded], dim=1)
        dots = torch.bmm(fields, fields.transpose(1, 2))
        pairs = torch.stack([dots[:, 0, 1], dots[:, 0, 2], dots[:, 1, 2]], dim=1)
        return self.top(torch.cat([dense, pairs], 1)).squeeze(1)

    @staticmethod
    def rows(count: int) -> tuple[Tensor, ...]:
        """Inputs of that many rows."""
        return torch.randn(count, 3), torch.randint(0, 10, (count, 2))


class DeepFM(nn.Module):
    """A factorisation machine beside a deep part, over shared embeddings (arXiv 1703.04247)."""

    places = ("deep.1", "deep.3")

    def __init__(self) -> None:
        super().__init__()
        self.table, self.first = nn.Embedding(30, 4), nn.Embedding(30, 1)
        self.deep = nn.Sequential(
            nn.Linear(12, 10), nn.ReLU(), nn.Dropout(0.5), nn.Linear(10, 6), nn.ReLU()
        )
        self.out = nn.Linear(6, 1)

    def forward(self, ids: Tensor) -> dict[str, Tensor]:
        """``click``: logits (rows,) from ids (rows, 3)."""
        fields = self.table(ids)
        total = fields.sum(dim=1)
        crossed = 0.5 * (total.square() - fields.square().sum(dim=1)).sum(dim=1)
        deep = self.out(self.deep(fields.flatten(1))).squeeze(1)
        return {"click": self.first(ids).sum(dim=(1, 2)) + crossed + deep}

    @staticmethod
    def rows(count: int) -> tuple[Tensor, ...]:
        """Inputs of that many rows."""
        return (torch.randint(0, 30, (count, 3)),)


class Sequence(nn.Module):
    """Attention over a behaviour sequence, then batch-norm and a tower."""

    places = ("embed", "tower.1")

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(40, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = nn.BatchNorm1d(8)
        self.tower = nn.Sequential(nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, 1))

    def forward(self, target: Tensor, history: Tensor) -> Tensor:
        """Logits (rows,) from target (rows, 1) and history (rows, steps)."""
        steps = self.embed(torch.cat([target, history], dim=1))
        found, _ = self.attention(steps[:, :1], steps[:, 1:], steps[:, 1:], need_weights=False)
        return self.tower(self.norm(found[:, 0])).squeeze(1)

    @staticmethod
    def rows(count: int) -> tuple[Tensor, ...]:
        """Inputs of that many rows."""
        return torch.randint(0, 40, (count, 1)), torch.randint(0, 40, (count, 5))


class Branching(nn.Module):
    """What it computes depends on the values: nothing that can be traced."""

    places = ("one",)

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(4, 6), nn.Linear(6, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (rows,) from x (rows, 4)."""
        hidden = self.one(x)
        if float(x.detach().abs().sum()) > 1e9:
            hidden = hidden * 2
        return self.two(hidden).squeeze(1)

    @staticmethod
    def rows(count: int) -> tuple[Tensor, ...]:
        """Inputs of that many rows."""
        return (torch.randn(count, 4),)


class InPlace(nn.Module):
    """What one module gives, the next one overwrites."""

    places = ("layers.0",)

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 6), nn.ReLU(inplace=True), nn.Linear(6, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (rows,) from x (rows, 4)."""
        return self.layers(x).squeeze(1)

    @staticmethod
    def rows(count: int) -> tuple[Tensor, ...]:
        """Inputs of that many rows."""
        return (torch.randn(count, 4),)


SHAPES = (DLRM, DeepFM, Sequence, Branching, InPlace)


def built(shape: type[nn.Module]) -> nn.Module:
    """A model of that shape with settled weights and batch-norm statistics."""
    torch.manual_seed(0)
    model = shape()
    for _ in range(3):
        model(*shape.rows(64))
    return model.eval()
