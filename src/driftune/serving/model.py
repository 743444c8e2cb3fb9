"""The model of a bundle: made once, and copied for each generation that serves by it."""

import copy
import json
from collections.abc import Mapping

import torch
from safetensors.torch import load
from torch import Tensor

from driftune.models.esmm import ESMM
from driftune.models.imports import IMPORTING
from driftune.models.recommender import Recommender
from driftune.serving.own import CODE, MODEL, OWN, SHAPE, TENSORS, own_model, own_tensors
from driftune.serving.reading import Reading


def read_tensors(reading: Reading) -> dict[str, Tensor]:
    """The weights; nothing is unpickled.

    Raises:
        BundleError: when a file is damaged.
        OSError, ValueError, KeyError, RuntimeError, SafetensorError: when they cannot be read.
    """
    files = reading.files(MODEL)
    if reading.manifest.own is not None:
        return own_tensors(json.loads(files[OWN])["weights"], files)
    found: dict[str, Tensor] = load(files[TENSORS])
    return found


def make_model(reading: Reading, tensors: Mapping[str, Tensor]) -> Recommender:
    """The model with these weights, frozen, with nothing attached.

    Raises:
        BundleError: when a file is damaged.
        ValueError, KeyError, RuntimeError: when it cannot be made, or the weights are another's.
    """
    files = reading.files(MODEL)
    if reading.manifest.own is not None:
        folder = reading.manifest.part(CODE).folder(reading.bundle)
        model = own_model(json.loads(files[OWN]), folder, reading.files(CODE))
    else:
        # On the meta device this would be without memory, and import for seconds.
        with IMPORTING, torch.random.fork_rng(devices=[]):
            model = ESMM(**json.loads(files[SHAPE]))
    model.load_state_dict(dict(tensors), assign=True)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model.eval()


def copied(model: Recommender) -> Recommender | None:
    """A copy that shares all tensors, as hooks belong to one generation; None for a model that
    cannot be copied."""
    held = [*model.parameters(), *model.buffers()]
    held += [each for part in model.modules() for each in vars(part).values() if _is_tensor(each)]
    try:
        return copy.deepcopy(model, {id(tensor): tensor for tensor in held})
    except Exception:
        # One of the user's own may hold anything: it is made again instead.
        return None


def _is_tensor(value: Tensor | None) -> bool:
    return isinstance(value, Tensor)
