"""Adapter files: safetensors and a JSON card, written whole, checked in full when read."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from driftune.models.adapters.adapter import Adapter
from driftune.models.adapters.methods.kernel import Kernel
from driftune.models.adapters.methods.registry import method_of
from driftune.models.adapters.templates import Form, KernelEntry, Template, Templates

FORMAT = 3
TENSORS, CARD = "adapter.safetensors", "card.json"
_OWN_FIELDS = ("format", "kernels", "sha256")


Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"
"""What a card may hold."""


class Card(dict[str, Json]):
    """A saved adapter's card: its writer's fields, and those of ``save_adapter``."""

    @property
    def sha256(self) -> str:
        """The hash of the adapter's files."""
        return str(self["sha256"])


class AdapterFileError(ValueError):
    """An adapter's files are missing, damaged or made for another model. One line says why."""


def fingerprint(module: nn.Module) -> str:
    """SHA-256 (hex) over the sorted names, dtypes, shapes and raw bytes of a module's state."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        header = json.dumps([name, str(tensor.dtype), list(tensor.shape)])
        digest.update(header.encode() + b"\n")
        digest.update(raw_bytes(tensor))
    return digest.hexdigest()


def raw_bytes(tensor: Tensor) -> memoryview:
    """The bytes of a tensor's values in row-major order, as a buffer."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data


def save_adapter(folder: Path, adapter: Adapter, card: Mapping[str, Json]) -> Path:
    """Write an adapter and its card to ``folder``, in place of what lies there; returns ``folder``.

    The card gets the fields ``format``, ``kernels`` (place, kind, settings and widths of each) and
    ``sha256``, the hash of all its other fields and of the tensor file. The same adapter and card
    give the same bytes. The files are made beside the folder and moved there together; when that
    fails, what lay there before stays.

    Raises:
        AdapterFileError: when the adapter holds NaN or infinity.
        ValueError, TypeError: when the card sets one of those fields or is not plain JSON, or a
            kernel is a copy of a whole module, which has no file of its own.
    """
    taken = [name for name in _OWN_FIELDS if name in card]
    if taken:
        raise ValueError(f"the card sets {', '.join(taken)}, which is written by save_adapter")
    kernels: list[KernelEntry] = [_describe(*each) for each in adapter.items()]
    tensors = {
        name: tensor.detach().cpu().contiguous() for name, tensor in adapter.state_dict().items()
    }
    _refuse_non_finite(folder, tensors)
    data = save(tensors)
    full = Card({**card, "format": FORMAT, "kernels": cast(list[Json], kernels)})
    full["sha256"] = _hash(full, data)
    text = json.dumps(full, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
    try:
        part = made / "new"
        part.mkdir()
        (part / TENSORS).write_bytes(data)
        (part / CARD).write_text(text + "\n", encoding="utf-8")
        _move(part, folder, made / "old")
    finally:
        shutil.rmtree(made)
    return folder


def load_adapter(
    folder: Path, *, backbone: str | None, templates: Templates | None = None
) -> tuple[Adapter, Card]:
    """Read an adapter (in evaluation mode, on the CPU) and its card, checking everything.

    ``backbone`` is the fingerprint of the model that the kernel is to serve on; None skips that
    check. ``templates`` make many files of one form fast to read. Nothing is unpickled.

    Raises:
        AdapterFileError: one line with the folder and the reason.
    """
    card = _read_card(folder)
    if card.get("format") != FORMAT:
        raise AdapterFileError(
            f"{folder}: card.json has format {card.get('format')!r}; this version reads {FORMAT}"
        )
    if backbone is not None and card.get("backbone") != backbone:
        raise AdapterFileError(
            f"{folder}: made for backbone {str(card.get('backbone'))[:12]}, "
            f"not for this one ({backbone[:12]})"
        )
    data = _read(folder, TENSORS)
    said = card.get("sha256")
    found = _hash({name: value for name, value in card.items() if name != "sha256"}, data)
    if found != said:
        raise AdapterFileError(
            f"{folder}: {TENSORS} or {CARD} is corrupted or truncated (SHA-256 {found[:12]}, "
            f"the card says {str(said)[:12]})"
        )
    template = _template(folder, card, templates or Templates())
    try:
        tensors = load(data)
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise AdapterFileError(f"{folder}: {TENSORS} is no safetensors file ({error})") from None
    _check_tensors(folder, tensors, template.forms)
    _refuse_non_finite(folder, tensors)
    return template.filled({name: part.clone() for name, part in tensors.items()}), card


def _describe(place: str, kernel: Kernel) -> KernelEntry:
    if not method_of(kernel.config).saved:
        raise ValueError(
            f"'{place}': a copy of a module is saved with its model, not as an adapter"
        )
    return {
        "at": place,
        "kind": kernel.config.kind,
        "config": kernel.config.to_dict(),
        "width": kernel.width,
        "inputs": kernel.inputs,
    }


def _hash(card: Mapping[str, Json], data: bytes) -> str:
    """SHA-256 of a card without its own hash, and of the tensor file."""
    text = json.dumps(card, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass") + b"\n" + data).hexdigest()


def _move(part: Path, folder: Path, old: Path) -> None:
    """Put ``part`` in the place of ``folder``; what lay there goes to ``old``, or comes back."""
    try:
        folder.rename(old)
    except FileNotFoundError:
        part.rename(folder)
        return
    try:
        part.rename(folder)
    except OSError:
        old.rename(folder)
        raise


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except FileNotFoundError:
        raise AdapterFileError(f"{folder}: {name} is missing") from None
    except OSError as error:
        raise AdapterFileError(f"{folder}: {name} cannot be read ({error.strerror})") from None


def _read_card(folder: Path) -> Card:
    try:
        card = json.loads(_read(folder, CARD))
    except AdapterFileError:
        raise
    except (ValueError, RecursionError):
        raise AdapterFileError(f"{folder}: {CARD} is not JSON") from None
    if not isinstance(card, dict):
        raise AdapterFileError(f"{folder}: {CARD} is not an adapter's card")
    return Card(card)


def _template(folder: Path, card: Card, templates: Templates) -> Template:
    """The form of adapter that the card describes."""
    try:
        return templates.of(cast(list[KernelEntry], card["kernels"]))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise AdapterFileError(f"{folder}: {CARD} describes no adapter ({reason})") from None


def _check_tensors(folder: Path, tensors: Mapping[str, Tensor], forms: Mapping[str, Form]) -> None:
    found = {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}
    wrong = sorted(name for name in {*forms, *found} if forms.get(name) != found.get(name))
    if wrong:
        raise AdapterFileError(
            f"{folder}: tensors do not fit the card's adapter: {', '.join(wrong[:3])}"
        )


def _refuse_non_finite(folder: Path, tensors: Mapping[str, Tensor]) -> None:
    # One look at all of them, and a closer one only where something is wrong.
    floats = [each.reshape(-1) for each in tensors.values() if each.is_floating_point()]
    if not floats or bool(torch.cat(floats).isfinite().all()):
        return
    wrong = sorted(name for name, tensor in tensors.items() if not bool(tensor.isfinite().all()))
    raise AdapterFileError(f"{folder}: NaN or infinity in {', '.join(wrong[:3])}")
