"""Kernels' weights in the form that serves many domains at once, kept while they do not change."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch import Size, Tensor, nn

from driftune.models.adapters.devices import moved
from driftune.models.adapters.methods.config import KernelConfig
from driftune.models.adapters.methods.kernel import Kernel, PackedKernel

Likeness: TypeAlias = tuple[type[Kernel], KernelConfig, tuple[Size, ...], torch.dtype, torch.device]
"""What kernels have in common that are served by one product."""

Stamp: TypeAlias = tuple[int, int]
Part: TypeAlias = Tensor | nn.Module | None
Held: TypeAlias = tuple[Mapping[str, Part], str, Part]
"""Where a module keeps a tensor or a module, its name there, and itself."""

SHORT = 1 << 14
"""Numbers that PyTorch copies on one core: on a busy machine, sharing a copy out costs more."""


class Pack(NamedTuple):
    """A kernel's weights, one after the other in ``flat``; nothing ever writes into it.

    ``table``: where ``flat`` is a ``row`` of the weights of many kernels like it.
    """

    kernel: PackedKernel
    flat: Tensor
    likeness: Likeness
    held: tuple[Held, ...]
    sources: tuple[Tensor, ...]
    stamps: tuple[Stamp, ...] | None
    table: Tensor | None = None
    row: int = 0

    @property
    def is_current(self) -> bool:
        """Whether the kernel's weights are still those of the pack."""
        # A loop: a generator takes twice as long, for each domain and place of a batch.
        for own, name, each in self.held:
            if own.get(name) is not each:
                return False
        return self.stamps is not None and self.stamps == _stamps(self.sources)

    def fits(self, h: Tensor) -> bool:
        """Whether rows like those of ``h`` (rows, …, width) pass the packed weights as they are."""
        kind = h.dtype, h.device, h.shape[-1]
        return kind == (self.flat.dtype, self.flat.device, self.kernel.width)

    def views(self, flats: Tensor) -> list[Tensor]:
        """The weights in (n, numbers of ``flat``) of n kernels like this one, (n, …) each."""
        shapes = self.likeness[2]
        parts = flats.split([shape.numel() for shape in shapes], dim=1)
        return [part.unflatten(1, shape) for part, shape in zip(parts, shapes, strict=True)]


def stacked(packs: Sequence[Pack]) -> list[Tensor]:
    """The weights of n like kernels, (n, …) each; those of one kernel are not copied."""
    if len(packs) == 1:
        return packs[0].views(packs[0].flat.unsqueeze(0))
    table = packs[0].table
    if table is not None and all(pack.table is table for pack in packs):
        rows = moved(torch.tensor([pack.row for pack in packs]), table.device)
        return packs[0].views(table.index_select(0, rows))
    flats = [pack.flat for pack in packs]
    if flats[0].device.type == "cpu":
        flats = [short for flat in flats for short in flat.split(SHORT)]
    return packs[0].views(torch.cat(flats).view(len(packs), -1))


class Packs:
    """The packs of an adapter's kernels, by place.

    Weights that are trained, or that were made under ``torch.inference_mode``, are packed anew for
    each batch: a change of the latter cannot be seen. What is written in place through ``.data``
    cannot be seen either: write into the parameter itself, under ``torch.no_grad``. A pack is never
    changed, only replaced: a batch that has taken it keeps it whole, whatever is loaded meanwhile.
    """

    def __init__(self) -> None:
        self._kept: dict[str, Pack] = {}

    def __reduce__(self) -> tuple[type["Packs"], tuple[()]]:
        """A copied or pickled adapter packs anew."""
        return Packs, ()

    def of(self, place: str, kernel: Kernel) -> Pack | None:
        """The pack of the kernel; None where it has none."""
        found = self._kept.get(place)
        if found is not None and found.kernel is kernel and found.is_current:
            return found
        made = _pack(kernel)
        if made is not None and made.stamps is not None:
            self._kept[place] = made
        return made


@torch.no_grad()
def unchanging(kernel: Kernel) -> Pack | None:
    """The pack of a kernel that nothing is written into any more; None where it has none."""
    if not isinstance(kernel, PackedKernel) or (weights := kernel.packed()) is None:
        return None
    return _packed(kernel, weights, (), (), None)


@torch.no_grad()
def _pack(kernel: Kernel) -> Pack | None:
    if not isinstance(kernel, PackedKernel) or (weights := kernel.packed()) is None:
        return None
    held = _held(kernel)
    sources = tuple(each for _, _, each in held if isinstance(each, Tensor))
    fixed = not any(each.requires_grad or each.is_inference() for each in sources)
    stamps = _stamps(sources) if fixed else None
    if fixed:
        # Read after the stamps: a change meanwhile makes the pack out of date, not wrong.
        weights = kernel.packed() or weights
    return _packed(kernel, weights, held, sources, stamps)


def _packed(
    kernel: PackedKernel,
    weights: Sequence[Tensor],
    held: tuple[Held, ...],
    sources: tuple[Tensor, ...],
    stamps: tuple[Stamp, ...] | None,
) -> Pack:
    flat = torch.cat([each.reshape(-1) for each in weights])
    shapes = tuple(each.shape for each in weights)
    likeness = type(kernel), kernel.config.with_beta(0.0), shapes, flat.dtype, flat.device
    return Pack(kernel, flat, likeness, held, sources, stamps)


def _held(kernel: Kernel) -> tuple[Held, ...]:
    """What a kernel consists of: tensors that are put in the place of others are seen by it."""
    kinds: list[Mapping[str, Part]] = [
        kind
        for module in kernel.modules()
        for kind in (module._parameters, module._buffers, module._modules)
    ]
    return tuple((kind, name, each) for kind in kinds for name, each in kind.items())


def _stamps(tensors: tuple[Tensor, ...]) -> tuple[Stamp, ...]:
    """Where each tensor lies, and how often it was written into."""
    return tuple((each.data_ptr(), each._version) for each in tensors)
