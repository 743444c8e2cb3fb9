"""The files of the frozen recommender: safetensors and a JSON card."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from driftune.errors import BackboneError
from driftune.io import read_json, replacing, write_sealed
from driftune.models.esmm import ESMM
from driftune.models.recommender import Recommender


def save_backbone(
    folder: Path, model: Recommender, encoder: str, trained_until: Mapping[str, int]
) -> str:
    """Write tensors and card, and return the fingerprint of the tensors.

    ``trained_until``: by domain key, microseconds since 1970; the domain's rows from then on did
    not train the backbone.
    """
    from safetensors.torch import save

    model.eval()
    mark = model.fingerprint()
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    with replacing(folder / "backbone.safetensors") as part:
        part.write_bytes(save(tensors))
    card = {
        "shape": model.shape,
        "fingerprint": mark,
        "encoder": encoder,
        "trained_until": dict(trained_until),
    }
    write_sealed(folder / "backbone.json", card)
    return mark


@dataclass(frozen=True)
class TrainedUntil:
    """From when on (microseconds since 1970) rows did not train the backbone: by domain key, and
    ``otherwise`` for a domain without a row that trained it, the newest such time of all."""

    by_domain: Mapping[str, int]
    otherwise: int

    def of(self, domain_key: str) -> int:
        """That time of a domain."""
        return self.by_domain.get(domain_key, self.otherwise)


def trained_until(folder: Path) -> TrainedUntil:
    """Read from a backbone's card until when each domain's rows trained it.

    Raises:
        BackboneError: when its card does not say so.
    """
    try:
        said = read_json(folder / "backbone.json")["trained_until"]
        if isinstance(said, dict):
            by_domain = {key: int(time) for key, time in said.items()}
            return TrainedUntil(by_domain, max(by_domain.values(), default=0))
        # Earlier releases held out the newest rows of all domains together.
        return TrainedUntil({}, int(said))
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


def load_backbone(folder: Path, encoder: str) -> tuple[Recommender, str]:
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
        model = ESMM(**card["shape"])
        model.load_state_dict(load(tensors_path.read_bytes()))
    except FileNotFoundError as error:
        raise BackboneError(f"{error.filename}: no backbone yet; run driftune pretrain") from None
    except (ValueError, KeyError, TypeError, RuntimeError, OSError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BackboneError(f"{tensors_path}: damaged ({reason}); run driftune pretrain") from None
    if model.fingerprint() != mark:
        raise BackboneError(f"{tensors_path}: damaged (fingerprint differs); run driftune pretrain")
    if fitted_with != encoder:
        raise BackboneError(
            f"{card_path}: trained with another encoder than {folder.parent / 'encoder'}; "
            "run driftune pretrain"
        )
    if wrong := _not_finite(model):
        raise BackboneError(
            f"{tensors_path}: NaN or infinity in {', '.join(wrong[:3])}; run driftune pretrain"
        )
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model.eval(), mark


def _not_finite(model: Recommender) -> list[str]:
    """The names of tensors that hold NaN or infinity."""
    return sorted(
        name
        for name, tensor in model.state_dict().items()
        if tensor.is_floating_point() and not bool(tensor.isfinite().all())
    )
