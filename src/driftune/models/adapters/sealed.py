"""A bank that serves and never changes: its kernels' weights are put together once.

``AdapterBank`` looks at each kernel of a batch for a change, which for small batches of many
domains takes longer than their products.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from driftune.models.adapters.adapter import Adapter
from driftune.models.adapters.bank import AdapterBank, Groups, Span, serves_together
from driftune.models.adapters.grouped import Piece
from driftune.models.adapters.methods.kernel import Kernel
from driftune.models.adapters.outputs import Output
from driftune.models.adapters.packs import Likeness, Pack, unchanging


class SealedBank(AdapterBank):
    """The adapters of many domains, none of which is loaded, unloaded or written into any more.

    It gives what an ``AdapterBank`` of the same adapters gives, bit by bit.
    """

    def __init__(self, adapters: Mapping[str, Adapter]) -> None:
        """Hold these adapters themselves, by their domains.

        Raises:
            ValueError: when kernels of one place differ in width.
        """
        super().__init__()
        for domain, adapter in adapters.items():
            super().put(domain, adapter)
        self._packs: dict[str, dict[Adapter, Pack]] | None = None

    def bring(self, device: torch.device) -> None:
        """Move the adapters to the device."""
        super().bring(device)
        self._packs = self._packed()

    def put(self, domain: str, adapter: Adapter) -> None:
        """Refused, as is all that would change the bank.

        Raises:
            TypeError: always.
        """
        raise _sealed(domain)

    def reserve(self, domain: str) -> int:
        """The slot of a domain that the bank holds.

        Raises:
            TypeError: for another one.
        """
        if hasattr(self, "_packs") and domain not in self._slots:
            raise _sealed(domain)
        return super().reserve(domain)

    def unload(self, domain: str) -> None:
        """Refused, as ``put`` is."""
        raise _sealed(domain)

    def _at(
        self, place: str, output: Output, groups: Groups
    ) -> tuple[list[Piece], list[tuple[Kernel, Span]]]:
        # Not yet where nobody has attached it; by two threads at once it is made twice.
        if self._packs is None:
            self._packs = self._packed()
        packs = self._packs.get(place)
        if packs is None or not isinstance(output, Tensor) or not serves_together(output):
            return super()._at(place, output, groups)
        pieces, others = [], []
        fits: dict[int, bool] = {}
        for span in groups.spans:
            pack = packs.get(span.adapter)
            if pack is not None and (fits.get(id(pack.table)) or _fits(pack, output, fits)):
                pieces.append(Piece(pack, span.start, span.rows))
            elif (kernel := span.adapter.at(place)) is not None:
                others.append((kernel, span))
        return pieces, others

    @torch.no_grad()
    def _packed(self) -> dict[str, dict[Adapter, Pack]]:
        """The packs of the kernels at each place; those that are alike lie in one table."""
        held = [each for each in self._adapters if isinstance(each, Adapter)]
        found: dict[str, dict[Adapter, Pack]] = {}
        for place in self.widths:
            alike: dict[Likeness, dict[Adapter, Pack]] = {}
            for adapter in held:
                kernel = adapter.at(place)
                pack = None if kernel is None else unchanging(kernel)
                if pack is not None:
                    alike.setdefault(pack.likeness, {})[adapter] = pack
            own = found[place] = {}
            for packs in alike.values():
                table = torch.stack([pack.flat for pack in packs.values()])
                for row, (adapter, pack) in enumerate(packs.items()):
                    own[adapter] = pack._replace(flat=table[row], table=table, row=row)
        return found


def _sealed(domain: str) -> TypeError:
    return TypeError(f"{domain}: the bank is sealed; make another one")


def _fits(pack: Pack, output: Tensor, known: dict[int, bool]) -> bool:
    """Whether the rows pass the weights of the pack's table, which is told once for all of it."""
    known[id(pack.table)] = pack.fits(output)
    return known[id(pack.table)]
