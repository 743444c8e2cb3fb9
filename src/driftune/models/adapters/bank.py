"""Parallel inference with domain activation: many domains' adapters over one mixed batch.

Rows are sorted by slot once. Without gradients domains of similar size pass one batched product
(``grouped.py``). With gradients, under autocast and for kernels that pack no weights, each
domain's rows pass its own kernel.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from driftune.models.adapters.adapter import Adapter
from driftune.models.adapters.devices import bring, lowers, moved
from driftune.models.adapters.grouped import Known, Piece, serve_pieces
from driftune.models.adapters.methods.kernel import Kernel
from driftune.models.adapters.outputs import Output, flat, like, one_tensor, parts_of, spread


class Span(NamedTuple):
    """A slot's part of the sorted rows, and the adapter that it had when they were grouped."""

    adapter: Adapter
    start: int
    rows: int


class Groups(NamedTuple):
    """The rows of a batch by slot.

    ``order``: positions of the rows, sorted by slot; ``size``: how many there are; ``known``: what
    was made of them at one place, for those that follow.
    """

    spans: list[Span]
    order: Tensor
    size: int
    known: Known

    def on(self, device: torch.device) -> "Groups":
        """The same with the positions on a device."""
        return self._replace(order=moved(self.order, device))


class AdapterBank(nn.Module):
    """The adapters of many domains. Their places and their kernels' shapes may differ.

    A domain keeps its slot while it is loaded. One thread may load and unload while others serve: a
    batch takes the adapters of its rows when it is grouped, and passes them at all places. The slot
    of a domain that was unloaded is given to another one: take ``slots`` anew after ``unload``, and
    unload no domain whose rows other threads may be looking up.
    """

    def __init__(self) -> None:
        """Make an empty bank: every row takes the base path."""
        super().__init__()
        self._slots: dict[str, int] = {}
        self._free: list[int] = []
        self._widths: dict[str, int] = {}
        self._adapters = nn.ModuleList()
        # It lies where adapters are brought to, and is moved with them; None: they stay.
        self._where: Tensor | None
        self.register_buffer("_where", None, persistent=False)

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
        slots = dict(self._slots)
        return sorted(slots, key=lambda domain: slots[domain])

    @property
    def widths(self) -> dict[str, int]:
        """Places that some adapter has a kernel at, and the width there."""
        return dict(self._widths)

    def bring(self, device: torch.device) -> None:
        """Move the adapters to the device, and each one that is loaded from now on."""
        bring(self, device)
        if self._where is None:
            self._where = torch.empty(0, device=device)

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
        # One look, at a dictionary of C: another thread may load meanwhile, and the list's own
        # iterator would end in an error then.
        adapters = list(self._adapters._modules.values())
        if len(slots) and not -1 <= int(slots.min()) <= int(slots.max()) < len(adapters):
            raise ValueError(
                f"slots reach from {int(slots.min())} to {int(slots.max())}; the bank has "
                f"-1 to {len(adapters) - 1}"
            )
        counts = torch.bincount(slots + 1, minlength=len(adapters) + 1).tolist()
        spans, start = [], counts[0]
        for adapter, count in zip(adapters, counts[1:], strict=True):
            if count and isinstance(adapter, Adapter):
                spans.append(Span(adapter, start, count))
            start += count
        return Groups(spans, torch.argsort(slots, stable=True), len(slots), {})

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
        order = groups.order.to(outputs[0].device)
        pieces, others = self._at(place, output, groups)
        changed: list[Tensor] = []
        # Others may hold the module's output: a copy of it is changed.
        if pieces:
            whole = outputs[0].new_empty(groups.size + 1, *outputs[0].shape[1:])
            if sum(piece.rows for piece in pieces) < groups.size:
                whole[:-1] = outputs[0]
            serve_pieces(pieces, outputs[0], order, whole, groups.known)
            changed = [whole[:-1]]
        for kernel, span in others:
            rows = order[span.start : span.start + span.rows]
            found = serve_rows(kernel, output, inputs, fresh, rows)
            changed = changed or [each.clone() for each in outputs]
            for whole, part in zip(changed, found, strict=True):
                whole.index_copy_(0, rows, part.to(whole.dtype))
        return like(output, changed) if changed else output

    def _at(
        self, place: str, output: Output, groups: Groups
    ) -> tuple[list[Piece], list[tuple[Kernel, Span]]]:
        """The kernels at a place: those that are served together, and those served one by one."""
        pieces, others = [], []
        h = output if isinstance(output, Tensor) and serves_together(output) else None
        for span in groups.spans:
            kernel = span.adapter.at(place)
            if kernel is None:
                continue
            pack = None if h is None else span.adapter.packs.of(place, kernel)
            if h is not None and pack is not None and pack.fits(h):
                pieces.append(Piece(pack, span.start, span.rows))
            else:
                others.append((kernel, span))
        return pieces, others

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
        """Like ``load``, but the bank holds the adapter itself, on the bank's device.

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
        # Before it can be served: a batch takes no adapter that is still on its way.
        if self._where is not None:
            bring(adapter, self._where.device)
        replaces = domain in self._slots and self._holds(domain)
        slot = self.reserve(domain)
        self._adapters[slot] = adapter
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


def serves_together(h: Tensor) -> bool:
    """Whether kernels pass batched products over rows ``h`` here: not with gradients, nor under
    autocast."""
    return h.ndim > 1 and not torch.is_grad_enabled() and not lowers(h.device)


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
