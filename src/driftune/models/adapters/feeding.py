"""Rows on their way to the device that computes with them, chunk by chunk."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import TypeVar

import torch
from torch import Tensor

from driftune.models.adapters.devices import Chunk, lacks_memory, moved

# Chunks that may lie on a CUDA device beside the one that it computes with.
AHEAD = 2
T = TypeVar("T")


def over_chunks(
    tensors: Sequence[Tensor], device: torch.device, chunk: Chunk, work: Callable[..., T]
) -> list[T]:
    """What ``work(first, *part)`` gives for all rows of the tensors, chunk after chunk.

    ``part``: the chunk's rows of each tensor, on the device; ``first``: the place of the first of
    them. A chunk for which memory does not suffice is done again in smaller ones. On CUDA a chunk
    is copied while the one before is computed, as long as ``work`` does not wait for the device.

    Raises:
        DeviceMemoryError: when it does not suffice for few rows either.
    """
    done: list[T] = []
    first, rows = 0, len(tensors[0])
    part: tuple[Tensor, ...] = ()
    while True:
        try:
            for part in _feed(tensors, device, first, chunk.rows):
                done.append(work(first, *part))
                first += len(part[0])
            return done
        except RuntimeError as error:
            if not lacks_memory(error):
                raise
        # Here the error is gone, and with it what its frames have held on the device.
        part = ()
        chunk.halve(min(chunk.rows, rows - first), device)


def _feed(
    tensors: Sequence[Tensor], device: torch.device, first: int, size: int
) -> Iterator[tuple[Tensor, ...]]:
    """Chunks of ``size`` rows from the ``first`` row on, on the device."""
    parts = (
        tuple(each[start : start + size] for each in tensors)
        for start in range(first, len(tensors[0]), size)
    )
    if device.type != "cuda":
        yield from (tuple(each.to(device) for each in part) for part in parts)
        return
    computes, copies = torch.cuda.current_stream(device), _copies_on(device)
    # Tensors that lie on the device already may still be in the making.
    copies.wait_stream(computes)
    computed: deque[torch.cuda.Event] = deque()
    for part in parts:
        if len(computed) == AHEAD:
            computed.popleft().synchronize()
        with torch.cuda.stream(copies):
            own = tuple(moved(each, device) for each in part)
        computes.wait_event(copies.record_event())
        for each in own:
            each.record_stream(computes)
        yield own
        computed.append(computes.record_event())


@cache
def _copies_on(device: torch.device) -> torch.cuda.Stream:
    """The stream of a device's copies: PyTorch keeps the memory of each stream for it alone."""
    return torch.cuda.Stream(device)
