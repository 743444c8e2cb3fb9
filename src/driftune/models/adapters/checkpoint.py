"""Checkpoints of a training run: one safetensors file, written whole after each epoch."""

import hashlib
import json
import logging
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple, Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from driftune.models.adapters.attach import AdaptedModel
from driftune.models.adapters.examples import Examples
from driftune.models.adapters.files import fingerprint, raw_bytes
from driftune.models.adapters.learners import Learner
from driftune.models.adapters.settings import TrainConfig

log = logging.getLogger("driftune")

# Part of the mark: a checkpoint that was laid out otherwise is one of another run.
LAYOUT = "joined"


class Notes(NamedTuple):
    """A domain's figures in a checkpoint: selection losses, epochs trained, the best of them."""

    losses: list[float]
    epochs_run: int
    best_epoch: int


class Checkpoint:
    """The checkpoint of one run; that of another model, data or configuration is not used."""

    def __init__(self, path: Path, mark: str) -> None:
        self.path, self.mark = path, mark

    @classmethod
    def of(
        cls,
        path: Path | None,
        adapted: AdaptedModel,
        examples: Examples,
        select: Examples | None,
        config: TrainConfig,
        epochs: Mapping[str, int] | None,
    ) -> Self | None:
        """The checkpoint at ``path`` for a run that starts from these; None without a path."""
        if path is None:
            return None
        used = set(examples.domains.tolist())
        kernels = {
            name: [[at, each.config.kind, each.config.to_dict()] for at, each in adapter.items()]
            for name, adapter in (
                (name, adapted.adapter(name))
                for name in adapted.domains
                if int(adapted.slots([name])) in used
            )
        }
        settings = [asdict(config), kernels, None if epochs is None else dict(epochs)]
        prints = [fingerprint(adapted.model), fingerprint(adapted.bank)]
        return cls(path, mark(json.dumps(settings, sort_keys=True), prints, [examples, select]))

    def save(self, learners: Mapping[int, Learner], epoch: int) -> None:
        """Write the state after a whole epoch, in place of the one before."""
        tensors: dict[str, Tensor] = {}
        domains: dict[str, Notes] = {}
        for slot, learner in learners.items():
            for kind, state in (("now", learner.adapter.state_dict()), ("best", learner.best)):
                tensors |= {f"{slot}/{kind}/{name}": each for name, each in state.items()}
            tensors[f"{slot}/random"] = learner.generator.get_state()
            for number, moments in enumerate(learner.optimiser.moments):
                tensors |= {f"{slot}/adam/{number}/{name}": each for name, each in moments.items()}
            domains[str(slot)] = Notes(learner.losses, learner.epochs_run, learner.best_epoch)
        joined, places = _joined(tensors)
        notes = {"epoch": epoch, "domains": domains, "places": places}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        save_file(joined, part, {"run": self.mark, "notes": json.dumps(notes)})
        part.replace(self.path)

    def restore(self, learners: Mapping[int, Learner]) -> int:
        """Put the learners where the checkpoint left them; returns its epoch, 0 without one."""
        try:
            with safe_open(self.path, framework="pt") as file:
                notes = file.metadata() or {}
                if notes.get("run") != self.mark:
                    log.warning("%s: a checkpoint of another run; training starts anew", self.path)
                    return 0
                found = json.loads(notes["notes"])
                joined = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
        except FileNotFoundError:
            return 0
        except (OSError, SafetensorError, ValueError) as error:
            log.warning("%s: damaged checkpoint; training starts anew: %s", self.path, error)
            return 0
        tensors = _parted(joined, found["places"])
        for slot, learner in learners.items():
            self._restore(learner, tensors, Notes(*found["domains"][str(slot)]))
        return int(found["epoch"])

    def remove(self) -> None:
        """Remove the file: the run has ended."""
        self.path.unlink(missing_ok=True)

    def _restore(self, learner: Learner, tensors: dict[str, Tensor], notes: Notes) -> None:
        own = {
            name.split("/", 1)[1]: each
            for name, each in tensors.items()
            if name.split("/", 1)[0] == str(learner.slot)
        }
        device = next(learner.adapter.parameters()).device
        learner.losses, learner.epochs_run, learner.best_epoch = notes
        learner.adapter.load_state_dict(_under(own, "now/"))
        learner.best = {name: each.to(device) for name, each in _under(own, "best/").items()}
        learner.generator.set_state(own["random"])
        learner.optimiser.restore(
            [_under(own, f"adam/{n}/") for n in range(len(learner.optimiser.parameters))]
        )


def mark(settings: str, fingerprints: Sequence[str], rows: Sequence[Examples | None]) -> str:
    """What tells a run from others: SHA-256 (hex) of all that it starts from."""
    digest = hashlib.sha256(f"{LAYOUT} {settings}".encode())
    for each in fingerprints:
        digest.update(each.encode())
    for part in rows:
        for tensor in () if part is None else part.tensors():
            digest.update(f"{tensor.dtype} {list(tensor.shape)}".encode())
            digest.update(raw_bytes(tensor))
    return digest.hexdigest()


class Place(NamedTuple):
    """Where a tensor lies: its name, the joined one that holds it, its first value, its shape."""

    name: str
    joined: str
    start: int
    shape: list[int]


def _joined(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[Place]]:
    """All tensors of one type and device as one on the CPU, and where each of them lies.

    Writing hundreds of small tensors takes thirty times as long as writing the same bytes at once.
    """
    parts: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
    lengths: dict[tuple[torch.dtype, torch.device], int] = {}
    names: dict[tuple[torch.dtype, torch.device], str] = {}
    places = []
    for name, each in tensors.items():
        kind = each.dtype, each.device
        if kind not in parts:
            parts[kind], lengths[kind], names[kind] = [], 0, f"{each.dtype} {each.device}"
        places.append(Place(name, names[kind], lengths[kind], [*each.shape]))
        parts[kind].append(each.flatten())
        lengths[kind] += each.numel()
    with torch.no_grad():
        return {names[kind]: torch.cat(own).cpu() for kind, own in parts.items()}, places


def _parted(joined: Mapping[str, Tensor], places: Sequence[Place]) -> dict[str, Tensor]:
    """The tensors by name, as ``_joined`` was given them."""
    found = {}
    for place in (Place(*each) for each in places):
        end = place.start + math.prod(place.shape)
        own = joined[place.joined][place.start : end]
        found[place.name] = own.view(place.shape).clone()
    return found


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): each for name, each in tensors.items() if name.startswith(prefix)
    }
