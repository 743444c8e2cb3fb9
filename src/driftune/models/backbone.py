"""The pooled recommender: shared embeddings and two towers in ESMM form.

ESMM (Ma et al., SIGIR 2018, arXiv 1804.07931) learns pCTR and pCTCVR = pCTR · pCVR over all
impressions, so that the conversion tower is not trained on clicked rows alone.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from driftune.errors import BackboneError
from driftune.io import read_json, replacing, write_json
from driftune.models.adapters import fingerprint


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
        embedded = self.table(ids + self.starts).flatten(1)
        return torch.cat([embedded, numbers], dim=1)


def _tower(width: int, hidden: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for size in hidden:
        layers += [nn.Linear(width, size), nn.ReLU()]
        width = size
    return nn.Sequential(*layers, nn.Linear(width, 1))


class Backbone(nn.Module):
    """Click and conversion logits from encoded impressions."""

    def __init__(
        self, sizes: Sequence[int], numbers: int, embedding: int, hidden: Sequence[int]
    ) -> None:
        super().__init__()
        self.shape = {
            "sizes": list(sizes),
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

    def click_logit(self, ids: Tensor, numbers: Tensor) -> Tensor:
        """The logit of pCTR alone, (rows,), for half the work of both."""
        return self.click_tower(self.representation(ids, numbers)).squeeze(1)


def save_backbone(folder: Path, model: Backbone, encoder: str, trained_until: int) -> str:
    """Write tensors and card, and return the fingerprint of the tensors.

    ``trained_until``: microseconds since 1970; rows from then on did not train the backbone.
    """
    from safetensors.torch import save

    model.eval()
    mark = fingerprint(model)
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    with replacing(folder / "backbone.safetensors") as part:
        part.write_bytes(save(tensors))
    card = {
        "shape": model.shape,
        "fingerprint": mark,
        "encoder": encoder,
        "trained_until": trained_until,
    }
    write_json(folder / "backbone.json", card)
    return mark


def trained_until(folder: Path) -> int:
    """From which time on (microseconds since 1970) rows did not train the backbone.

    Raises:
        BackboneError: when its card does not say so.
    """
    try:
        return int(read_json(folder / "backbone.json")["trained_until"])
    except (OSError, ValueError, KeyError, TypeError):
        raise BackboneError(
            f"{folder / 'backbone.json'}: no readable trained_until; run driftune pretrain"
        ) from None


def backbone_mark(folder: Path) -> str | None:
    """The fingerprint that a backbone's card names, None where there is no readable card."""
    try:
        return str(read_json(folder / "backbone.json")["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def load_backbone(folder: Path, encoder: str) -> tuple[Backbone, str]:
    """Load the frozen backbone and its fingerprint.

    Raises:
        BackboneError: when it is missing, damaged, or was trained with another encoder.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    card_path, tensors_path = folder / "backbone.json", folder / "backbone.safetensors"
    try:
        card = read_json(card_path)
        mark, fitted_with = card["fingerprint"], card["encoder"]
        model = Backbone(**card["shape"])
        model.load_state_dict(load(tensors_path.read_bytes()))
    except FileNotFoundError as error:
        raise BackboneError(f"{error.filename}: no backbone yet; run driftune pretrain") from None
    except (ValueError, KeyError, TypeError, RuntimeError, OSError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BackboneError(f"{tensors_path}: damaged ({reason}); run driftune pretrain") from None
    if fingerprint(model) != mark:
        raise BackboneError(f"{tensors_path}: damaged (fingerprint differs); run driftune pretrain")
    if fitted_with != encoder:
        raise BackboneError(
            f"{card_path}: trained with another encoder than {folder.parent / 'encoder'}; "
            "run driftune pretrain"
        )
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model.eval(), mark
