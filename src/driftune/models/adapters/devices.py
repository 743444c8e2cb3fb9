"""The device that a model computes on: where it is, in which precision, and when it is full.

A device is never asked for: it is that of the model's tensors, and rows are brought to it.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from itertools import chain
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor, nn

log = logging.getLogger("driftune")

HOST = torch.device("cpu")
# So few rows at once are not halved any more.
LEAST_ROWS = 16
# Bytes from which page-locked memory for a single copy costs the host more than waiting for it.
PINNED = 1 << 25
# How CUDA, its libraries and MPS say it where it is no torch.OutOfMemoryError.
_FULL = (
    "out of memory",
    "cublas_status_alloc_failed",
    "cublas_status_not_initialized",
    "cudnn_status_alloc_failed",
)
_HELP = "free memory on it, let fewer processes share it, or compute on the CPU"
_SHORT = (torch.bfloat16, torch.float16)

P = ParamSpec("P")
T = TypeVar("T")


class DeviceMemoryError(RuntimeError):
    """A device's memory does not suffice for the fewest rows that can be computed at once, or
    for what is needed whole.
    """


def device_of(module: nn.Module) -> torch.device:
    """The device of a module's first parameter or buffer; the CPU where it has none."""
    for tensor in chain(module.parameters(), module.buffers()):
        return tensor.device
    return HOST


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on the device, itself where it is there.

    A copy to CUDA of less than ``PINNED`` bytes goes by pinned memory and is queued: the caller
    does not wait for it.
    """
    if device.type != "cuda" or tensor.device.type != "cpu" or _bytes([tensor]) >= PINNED:
        return tensor.to(device)
    # Views are not pinned as they lie: an expanded one overlaps itself.
    return tensor.contiguous().pin_memory().to(device, non_blocking=True)


def held_on(
    tensors: Sequence[Tensor], device: torch.device, most: int, what: str
) -> tuple[Tensor, ...]:
    """The tensors on the device where they take ``most`` bytes at most and it has the memory.

    Else all stay where they are. ``what`` they are is said in the log.
    """
    if _bytes(tensors) > most:
        return tuple(tensors)
    try:
        return tuple(moved(each, device) for each in tensors)
    except RuntimeError as error:
        if not lacks_memory(error):
            raise
    say_once(f"{device}: no memory to hold {what}, of which each batch is copied")
    return tuple(tensors)


def _bytes(tensors: Sequence[Tensor]) -> int:
    return sum(each.element_size() * each.numel() for each in tensors)


def bring(module: nn.Module, device: torch.device) -> None:
    """Move adapters to the device, in place, where a tensor of them is elsewhere.

    Raises:
        DeviceMemoryError: when its memory does not suffice for them.
    """
    if all(each.device == device for each in chain(module.parameters(), module.buffers())):
        return
    # Tensors that are made in inference mode could not be trained later.
    with torch.inference_mode(False), needing(device, "the adapters"):
        module.to(device)


def computing(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """The context that a forward pass runs in: autocast to bf16, or off for ``fp32``."""
    if not torch.amp.is_autocast_available(device.type):
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def lowers(device: torch.device) -> bool:
    """Whether products on the device are computed in a shorter float here, by autocast."""
    kind = device.type
    return torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)


def in_precision(function: Callable[P, T], device: torch.device, precision: str) -> Callable[P, T]:
    """The function, computed in this precision; itself for ``fp32``."""
    if precision == "fp32":
        return function

    def lowered(*args: P.args, **kwargs: P.kwargs) -> T:
        with computing(device, precision):
            return function(*args, **kwargs)

    return lowered


def raised(tensor: Tensor) -> Tensor:
    """The tensor in float32 where it is in a shorter float: what losses and moments take."""
    return tensor.float() if tensor.dtype in _SHORT else tensor


def lacks_memory(error: BaseException) -> bool:
    """Whether an error says that the device's memory is full, so that fewer rows may fit."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    if not isinstance(error, RuntimeError) or isinstance(error, DeviceMemoryError):
        return False
    said = str(error).lower()
    return any(each in said for each in _FULL)


@contextmanager
def needing(device: torch.device, what: str) -> Iterator[None]:
    """Work that cannot be done in parts: where memory lacks, a line says what it was needed for.

    Raises:
        DeviceMemoryError: when the device's memory does not suffice.
    """
    try:
        yield
    except RuntimeError as error:
        if not lacks_memory(error):
            raise
        raise DeviceMemoryError(
            f"{device}: its memory does not suffice for {what}; {_HELP}"
        ) from None


class Chunk:
    """The most rows that are computed at once: fewer from the moment that memory is full.

    ``work``: what they are computed for, in a few words for the log.
    """

    def __init__(self, rows: int, work: str) -> None:
        self.rows, self.work = rows, work

    def halve(self, tried: int, device: torch.device) -> None:
        """Take half of the rows that were tried from now on; said in the log once a process.

        Raises:
            DeviceMemoryError: when there were few already.
        """
        if tried <= LEAST_ROWS:
            raise DeviceMemoryError(
                f"{device}: its memory does not suffice for {self.work} of {tried} rows at once; "
                + _HELP
            )
        # Another thread may have come to fewer meanwhile.
        self.rows = max(LEAST_ROWS, min(self.rows, tried // 2))
        say_once(
            f"{device}: out of memory in {self.work}; it goes on with fewer rows at once, which "
            "changes no result but for rounding"
        )


@cache
def say_once(line: str) -> None:
    """Log a warning that a process has not logged yet."""
    log.warning("%s", line)
