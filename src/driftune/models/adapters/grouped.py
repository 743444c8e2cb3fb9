"""Many domains' kernels in few products: what makes serving them independent of their number.

One product for each domain is small, and PyTorch hands each to all cores: on a machine that does
something else, too, every one of them waits for the slowest core. So domains with similar numbers
of rows are padded to the largest of them and pass one batched product. What a row gives depends on
the other rows of the batch by no more than the order of sums in a product, some 1e-7 of the value.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from driftune.models.adapters.devices import moved
from driftune.models.adapters.packs import Likeness, Pack, stacked

ALONE = 512
"""Rows from which a domain's products are large enough by themselves."""
SLACK = 8
"""Padding of a domain that costs less than the copy of its weights, in rows."""
ROOM = {"cpu": 1 << 23}
"""Numbers (rows and weights) in a batched product: few products, and little copied at a time."""
ROOM_ELSEWHERE = 1 << 27

Known: TypeAlias = dict[tuple[object, ...], tuple[Tensor, Tensor]]
"""Positions of a batch's padded rows, which are the same at all places with the same pieces."""


class Piece(NamedTuple):
    """A domain's rows in a batch that is sorted by domain, and its kernel's weights."""

    pack: Pack
    start: int
    rows: int


def serve_pieces(
    pieces: Sequence[Piece], h: Tensor, order: Tensor, result: Tensor, known: Known
) -> None:
    """Write what kernels serve for their rows of ``h`` (rows, …, width) into ``result``.

    ``order`` holds the positions of the rows sorted by domain. ``result`` is (rows + 1, …, width);
    padding is written into its last row. ``known`` is of this batch.
    """
    alike: dict[Likeness | int, list[Piece]] = {}
    for piece in pieces:
        # Those of one table are alike: no need to compare their settings.
        table = piece.pack.table
        alike.setdefault(piece.pack.likeness if table is None else id(table), []).append(piece)
    width = h[:1].numel()
    room = ROOM.get(h.device.type, ROOM_ELSEWHERE)
    lots = [lot for each in alike.values() for lot in lots_of(each, width, room)]
    take, put = _positions(lots, order, len(h), known)
    sizes = [len(lot) * lot[0].rows for lot in lots]
    for lot, source, target in zip(lots, take.split(sizes), put.split(sizes), strict=True):
        rows = h.index_select(0, source)
        served = lot[0].pack.kernel.serve_packed(
            stacked([piece.pack for piece in lot]), rows.view(len(lot), -1, h.shape[-1])
        )
        result.index_copy_(0, target, served.view_as(rows))


def lots_of(pieces: Sequence[Piece], width: int, room: int) -> list[list[Piece]]:
    """Pieces of like kernels in lots of similar sizes, the largest piece of each lot first.

    ``width``: numbers in a row; ``room``: numbers in a lot.
    """
    lots: list[list[Piece]] = []
    largest = 0
    for piece in sorted(pieces, key=lambda piece: -piece.rows):
        each = largest * width + piece.pack.flat.numel()
        if (
            0 < largest < ALONE
            and 2 * piece.rows + SLACK >= largest
            and (len(lots[-1]) + 1) * each <= room
        ):
            lots[-1].append(piece)
        else:
            lots.append([piece])
            largest = piece.rows
    return lots


def _positions(
    lots: Sequence[Sequence[Piece]], order: Tensor, size: int, known: Known
) -> tuple[Tensor, Tensor]:
    """For each padded row of the lots: the row that it is a copy of, and where it is written.

    Padding is a copy of its piece's last row, and written to ``size``.
    """
    rows = [(lot[0].rows, piece.rows, piece.start) for lot in lots for piece in lot]
    key = (order.device, *rows)
    if key not in known:
        known[key] = _made(rows, order, size)
    return known[key]


def _made(rows: list[tuple[int, int, int]], order: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The positions by each piece's rows with padding, its rows, and where they start."""
    # A tensor of a flat list is made ten times faster than that of a list of tuples.
    each = torch.tensor([number for piece in rows for number in piece]).view(len(rows), 3)
    padded, counts, starts = moved(each, order.device).unbind(1)
    total = sum(each for each, _, _ in rows)
    piece = torch.repeat_interleave(padded, output_size=total)
    within = torch.arange(total, device=order.device) - (padded.cumsum(0) - padded)[piece]
    last = counts[piece] - 1
    take = order[starts[piece] + torch.minimum(within, last)]
    return take, torch.where(within <= last, take, size)
