"""The kernels at one place of a model, chosen by each row's slot without a branch on its value.

A bank groups the rows of a batch by domain, which no exported program can: what it does then hangs
on the values. Here rows take their own weights out of a table, or kernels see all rows.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from driftune.models.adapters import Adapter, Kernel
from driftune.models.adapters.bank import serve_rows
from driftune.models.adapters.methods.kernel import PackedKernel
from driftune.models.adapters.outputs import Output, like, one_tensor, parts_of
from driftune.models.adapters.packs import Likeness, Pack, unchanging


class Table(nn.Module):
    """Packed kernels of one form: their weights, (n, …) each, and the row of each slot in them."""

    place_of: Tensor

    def __init__(self, packs: Mapping[int, Pack], slots: int) -> None:
        """``packs``: those of the kernels by slot; ``slots``: how many there are, 0 included."""
        super().__init__()
        first = next(iter(packs.values()))
        flats = torch.stack([pack.flat for pack in packs.values()])
        self._weights = len(first.likeness[2])
        for number, weight in enumerate(first.views(flats)):
            self.register_buffer(f"weight_{number}", weight.contiguous())
        place_of = torch.full((slots,), -1)
        place_of[[*packs]] = torch.arange(len(packs))
        self.register_buffer("place_of", place_of)
        # Not a part of the program: its arithmetic alone is used.
        self._kernel: list[PackedKernel] = [first.kernel]

    def forward(self, h: Tensor, slots: Tensor) -> Tensor:
        """Rows (rows, …, width), those of these kernels' slots changed by them."""
        [kernel] = self._kernel
        whole = one_tensor(h, kernel.width)
        place = self.place_of[slots]
        held = (place >= 0).view(-1, *[1] * (whole.ndim - 1))
        own = [
            getattr(self, f"weight_{number}")[place.clamp(min=0)] for number in range(self._weights)
        ]
        # Each row is a batch of its own, with the steps of a sequence as its rows.
        steps = whole.unsqueeze(1) if whole.ndim == 2 else whole.flatten(1, -2)
        found = kernel.serve_packed(own, steps.clone()).reshape(whole.shape)
        return torch.where(held, found, whole)


class Place(nn.Module):
    """All kernels at one place, by slot."""

    def __init__(self, place: str, adapters: Sequence[Adapter]) -> None:
        """``adapters``: those of slots 1, 2, …; some may have no kernel here."""
        super().__init__()
        alike: dict[Likeness, dict[int, Pack]] = {}
        others: dict[int, Kernel] = {}
        for slot, adapter in enumerate(adapters, 1):
            kernel = adapter.at(place)
            pack = None if kernel is None else unchanging(kernel)
            if pack is not None:
                alike.setdefault(pack.likeness, {})[slot] = pack
            elif kernel is not None:
                others[slot] = kernel
        slots = len(adapters) + 1
        self.tables = nn.ModuleList(Table(packs, slots) for packs in alike.values())
        self.others = nn.ModuleList(others.values())
        self._slots = tuple(others)

    def forward(self, output: Output, inputs: tuple[Tensor, ...], slots: Tensor) -> Output:
        """The output of the module here, each row changed by the kernel of its slot.

        Kernels that have no packed weights see all rows, one after the other.
        """
        changed = parts_of(output)
        given = changed
        if self.tables:
            whole = given[0]
            for table in self.tables:
                whole = table(whole, slots)
            changed = (whole, *given[1:])
        every = torch.arange(given[0].shape[0])
        for slot, kernel in zip(self._slots, self.others, strict=True):
            assert isinstance(kernel, Kernel)
            found = serve_rows(kernel, output, inputs, None, every)
            own = slots == slot
            changed = tuple(
                torch.where(own.view(-1, *[1] * (now.ndim - 1)), new.to(now.dtype), now)
                for now, new in zip(changed, found, strict=True)
            )
        return like(output, changed)
