"""The files of the frozen recommender: safetensors and a JSON card.

Of a recommender of the user's own there is the card alone; its weights stay where they are.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from driftune.config import Config
from driftune.config.recommender import RecommenderSettings
from driftune.errors import BackboneError
from driftune.features.encoder import Encoder
from driftune.io import read_json, replacing, write_sealed
from driftune.models.esmm import ESMM
from driftune.models.own import Origin, load_own, require_metric
from driftune.models.recommender import Recommender


def save_backbone(folder: Path, model: ESMM, encoder: str, trained_until: Mapping[str, int]) -> str:
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


def save_own(
    folder: Path, origin: Origin, mark: str, encoder: str, trained_until: Mapping[str, int]
) -> None:
    """Write the card of a recommender of the user's own."""
    card = {
        "own": asdict(origin),
        "fingerprint": mark,
        "encoder": encoder,
        "trained_until": dict(trained_until),
    }
    write_sealed(folder / "backbone.json", card)
    (folder / "backbone.safetensors").unlink(missing_ok=True)


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


def load_own_backbone(
    config: Config, settings: RecommenderSettings, folder: Path, encoder: Encoder
) -> tuple[Recommender, str]:
    """Load the recommender of the user's own, frozen, and its fingerprint.

    Raises:
        BackboneError: when it is not the one that the card is of, or as ``models.own.load_own``.
        ConfigError: as ``models.own.load_own``, or when the gate asks for what it does not predict.
    """
    card_path = folder / "backbone.json"
    try:
        card = read_json(card_path)
        mark, fitted_with, before = card["fingerprint"], card["encoder"], card.get("own")
    except FileNotFoundError:
        raise BackboneError(f"{card_path}: no backbone yet; run driftune pretrain") from None
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise BackboneError(f"{card_path}: damaged ({error}); run driftune pretrain") from None
    model, origin = load_own(config, settings, encoder)
    if origin.mark(settings) != mark:
        now = asdict(origin).items()
        changed = [name for name, value in now if (before or {}).get(name) != value]
        what = " and ".join(changed) or "its options, columns or history"
        raise BackboneError(
            f"{config.source_file}: recommender: not the model that was taken up ({what} changed), "
            "for which the adapters were made; put it back, or take the new one up: driftune "
            "pretrain"
        )
    _require_encoder(card_path, folder, fitted_with, encoder.fingerprint)
    require_metric(config, settings, model)
    return model, mark


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
        if "own" in card:
            raise BackboneError(
                f"{card_path}: is of a recommender of your own, and params.yaml names none; name "
                "it, or run driftune pretrain"
            )
        model = ESMM(**card["shape"])
        model.load_state_dict(load(tensors_path.read_bytes()))
    except FileNotFoundError as error:
        raise BackboneError(f"{error.filename}: no backbone yet; run driftune pretrain") from None
    except (ValueError, KeyError, TypeError, RuntimeError, OSError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BackboneError(f"{tensors_path}: damaged ({reason}); run driftune pretrain") from None
    if model.fingerprint() != mark:
        raise BackboneError(f"{tensors_path}: damaged (fingerprint differs); run driftune pretrain")
    _require_encoder(card_path, folder, fitted_with, encoder)
    if wrong := _not_finite(model):
        raise BackboneError(
            f"{tensors_path}: NaN or infinity in {', '.join(wrong[:3])}; run driftune pretrain"
        )
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model.eval(), mark


def _require_encoder(card: Path, folder: Path, fitted_with: str, encoder: str) -> None:
    if fitted_with != encoder:
        raise BackboneError(
            f"{card}: trained with another encoder than {folder.parent / 'encoder'}; run driftune "
            "pretrain"
        )


def _not_finite(model: Recommender) -> list[str]:
    """The names of tensors that hold NaN or infinity."""
    return sorted(
        name
        for name, tensor in model.state_dict().items()
        if tensor.is_floating_point() and not bool(tensor.isfinite().all())
    )
