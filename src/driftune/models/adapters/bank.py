"""Parallel inference with domain activation: many domains' adapters over one mixed batch.

Rows are grouped by slot and each group passes its own kernel. Measured on 2 CPU cores (4096 to
65536 rows, 6 to 100 domains, width 100 to 200) this takes 2 to 210 ms; gathering each row's
weights for a batched matmul is 2 to 50 times slower, and padding the groups to one batched matmul
is at most 2.8 times faster (even domains, few rows) but up to 67 times slower when domains differ
in size.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from driftune.models.adapters.adapter import Adapter
from driftune.models.adapters.devices import moved
from driftune.models.adapters.methods.kernel import Kernel
from driftune.models.adapters.outputs import Output, flat, like, one_tensor, parts_of, spread


class Groups(NamedTuple):
    """The rows of a batch by slot: ``rows[n]`` are the positions of the rows of ``slots[n]``."""

    slots: list[int]
    rows: list[Tensor]
    size: int

    def on(self, device: torch.device) -> "Groups":
        """The same with the positions on a device, by one copy for all groups."""
        if not self.rows or self.rows[0].device == device:
            return self
        together = moved(torch.cat(self.rows), device)
        return self._replace(rows=list(torch.split(together, [len(each) for each in self.rows])))


class AdapterBank(nn.Module):
    """The adapters of many domains. Their places and their kernels' shapes may differ.

    A domain keeps its slot while it is loaded. Loading and unloading must not run while another
    thread is in ``apply``.
    """

    def __init__(self) -> None:
        """Make an empty bank: every row takes the base path."""
        super().__init__()
        self._slots: dict[str, int] = {}
        self._free: list[int] = []
        self._widths: dict[str, int] = {}
        self._adapters = nn.ModuleList()

    @classmethod
    def from_adapters(cls, adapters: Mapping[str, Adapter]) -> Self:
        """Make a bank of the adapters of these domains.

        Raises:
            ValueError: when kernels of one place differ in width.
        """
        bank = cls()
        for domain, adapter in adapters.items():
            bank.load(domain, adapter)
        return bank

    @property
    def domains(self) -> list[str]:
        """Domains that the bank holds an adapter of."""
        return sorted(self._slots, key=lambda domain: self._slots[domain])

    @property
    def widths(self) -> dict[str, int]:
        """Places that some adapter has a kernel at, and the width there."""
        return dict(self._widths)

    def adapter(self, domain: str) -> Adapter:
        """The domain's adapter itself, not a copy.

        Raises:
            KeyError: when the bank holds none; the message lists the domains that it holds.
        """
        slot = self._slots.get(domain)
        found = None if slot is None else self._adapters[slot]
        if not isinstance(found, Adapter):
            names = (name for name in self.domains if self._holds(name))
            held = ", ".join(names) or "none"
            raise KeyError(f"{domain}: the bank holds no adapter of it; it holds {held}")
        return found

    def alone(self, domain: str) -> "AdapterBank":
        """A bank of this domain's adapter alone; an empty one where there is none."""
        bank = AdapterBank()
        if domain in self._slots and self._holds(domain):
            bank.put(domain, self.adapter(domain))
        return bank

    def slots(self, domains: Sequence[str]) -> Tensor:
        """The slot of each domain, (len(domains),) int64; −1 for a domain without an adapter."""
        return torch.tensor([self._slots.get(each, -1) for each in domains], dtype=torch.long)

    def group(self, slots: Tensor) -> Groups:
        """Group the rows of a batch by their slots (rows,); rows of the base are left out.

        Raises:
            ValueError: when the slots are not (rows,) int64 or one does not exist.
        """
        if slots.ndim != 1 or slots.dtype != torch.long:
            raise ValueError(
                f"slots are {tuple(slots.shape)} {slots.dtype}; they must be (rows,) torch.int64"
            )
        if len(slots) and not -1 <= int(slots.min()) <= int(slots.max()) < len(self._adapters):
            raise ValueError(
                f"slots reach from {int(slots.min())} to {int(slots.max())}; the bank has "
                f"-1 to {len(self._adapters) - 1}"
            )
        order = torch.argsort(slots, stable=True)
        base, *counts = torch.bincount(slots + 1, minlength=len(self._adapters) + 1).tolist()
        parts = torch.split(order[base:], counts) if counts else ()
        used = [slot for slot, count in enumerate(counts) if count]
        return Groups(used, [parts[slot] for slot in used], len(slots))

    def apply_at(
        self,
        place: str,
        output: Output,
        inputs: tuple[Tensor, ...],
        groups: Groups,
        fresh: Tensor | None = None,
    ) -> Output:
        """The output of the module at ``place``, each row changed by its own domain's kernel.

        ``output`` is a tensor whose first dimension are the rows and whose last one is the
        kernel's width, or a tuple or mapping of tensors of rows. Rows without a kernel come back
        bit-equal.

        Raises:
            ValueError: when the shapes do not fit.
        """
        outputs = parts_of(output)
        if len(outputs[0]) != groups.size:
            raise ValueError(f"it gives {len(outputs[0])} rows for {groups.size} domain ids")
        changed: list[Tensor] = []
        for slot, rows in zip(groups.slots, groups.rows, strict=True):
            adapter = self._adapters[slot]
            kernel = adapter.at(place) if isinstance(adapter, Adapter) else None
            if kernel is None:
                continue
            rows = rows.to(outputs[0].device)
            found = serve_rows(kernel, output, inputs, fresh, rows)
            # Others may hold the module's output: a copy of it is changed, domain by domain.
            changed = changed or [each.clone() for each in outputs]
            for whole, part in zip(changed, found, strict=True):
                whole.index_copy_(0, rows, part.to(whole.dtype))
        return like(output, changed) if changed else output

    def load(self, domain: str, adapter: Adapter) -> None:
        """Add a copy of the domain's adapter, or put it in the place of the one it has.

        Raises:
            ValueError: when a kernel's width is not that of the others at its place.
        """
        self.put(domain, copy.deepcopy(adapter).requires_grad_(False).eval())

    def reserve(self, domain: str) -> int:
        """The slot of a domain whose adapter is still to come; its rows take the base path."""
        if domain not in self._slots:
            if not self._free:
                self._free.append(len(self._adapters))
                self._adapters.append(nn.Identity())
            self._slots[domain] = self._free.pop()
        return self._slots[domain]

    def put(self, domain: str, adapter: Adapter) -> None:
        """Like ``load``, but the bank holds the adapter itself.

        Raises:
            ValueError: when a kernel's width is not that of the others at its place.
        """
        own = {place: kernel.width for place, kernel in adapter.items()}
        for place, kernel in adapter.items():
            held = self._widths.get(place, kernel.width)
            if held != kernel.width:
                raise ValueError(
                    f"{domain}: kernel at '{place}' has width {kernel.width}; the bank holds {held}"
                )
        replaces = domain in self._slots and self._holds(domain)
        self._adapters[self.reserve(domain)] = adapter
        self._widths |= own
        if replaces:
            self._look_at_widths()

    def unload(self, domain: str) -> None:
        """Drop the domain's adapter, or its reserved slot; its rows take the base path from now on.

        Raises:
            KeyError: when the bank knows nothing of the domain.
        """
        if domain not in self._slots:
            self.adapter(domain)
        slot = self._slots.pop(domain)
        self._adapters[slot] = nn.Identity()
        self._free.append(slot)
        self._look_at_widths()

    def _holds(self, domain: str) -> bool:
        return isinstance(self._adapters[self._slots[domain]], Adapter)

    def _look_at_widths(self) -> None:
        held = (each for each in self._adapters if isinstance(each, Adapter))
        self._widths = {place: kernel.width for each in held for place, kernel in each.items()}


def serve_rows(
    kernel: Kernel,
    output: Output,
    inputs: tuple[Tensor, ...],
    fresh: Tensor | None,
    rows: Tensor,
) -> tuple[Tensor, ...]:
    """What a kernel serves for the rows at ``rows``; sequences (rows, steps, width) by step."""
    size = len(parts_of(output)[0])
    own = tuple(
        each.index_select(0, rows) if len(each) == size else each
        for each in inputs
        if kernel.uses_inputs
    )
    if kernel.replaces:
        return parts_of(kernel.serve(parts_of(output)[0], own))
    part = one_tensor(output, kernel.width).index_select(0, rows)
    unseen = None if fresh is None else spread(fresh.index_select(0, rows), part)
    return (kernel.serve(flat(part), tuple(map(flat, own)), unseen).view_as(part),)
