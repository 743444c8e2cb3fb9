"""A device that every machine has: tensors whose values lie on the CPU, and that say otherwise.

PyTorch's builds for the CPU make no tensors on CUDA, not even fake ones (``FakeTensorMode``). Here
``meta`` stands for the device, but with values: while ``Device`` is entered, what is moved to or
made on it is an ``OnDevice``. An operation that mixes it with a tensor of the CPU, or draws on it
by a generator of the CPU, is refused as CUDA refuses it, and values come back only by a copy
(``.cpu()``, ``float(…)``), which is counted.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, inference_mode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("meta")
# A copy may go from one device to the other.
_COPIES = ("aten::copy_", "aten::_to_copy", "aten::set_")
# What waits for the device to see a value, or how many there are.
_WAITS = ("aten::_local_scalar_dense", "aten::nonzero", "aten::equal", "aten::_unique2")

Call = Callable[..., Any]
CPU = torch.device("cpu")


def on(device: torch.device) -> AbstractContextManager[Any]:
    """The context that a device is there in: ``Device`` for its stand-in."""
    return Device() if device == DEVICE else nullcontext()


class OnDevice(Tensor):
    """A tensor on the device; ``held`` has its values."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> "OnDevice":
        return Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), storage_offset=held.storage_offset(),
            dtype=held.dtype, device=DEVICE,
        )  # fmt: skip

    def __init__(self, held: Tensor) -> None:
        self.held = held

    def __repr__(self) -> str:
        return f"OnDevice({self.held})"

    def tolist(self) -> Any:
        """The values, which are waited for."""
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(
        cls,
        func: Call,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        return _call(func, args, kwargs or {})


class Device(TorchDispatchMode):
    """While it is entered, this thread has the device. ``waits`` counts how often it was waited
    for, by operation.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits: dict[str, int] = {}
        self._without: ExitStack | None = None

    def __enter__(self) -> "Device":
        # Views of such tensors cannot be made in inference mode.
        if self._without is None:
            self._without = ExitStack()
            self._without.enter_context(patch.object(inference_mode, "__enter__", _enter))
            self._without.enter_context(patch.object(inference_mode, "__exit__", _exit))
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        if self._without is not None:
            self._without.close()
            self._without = None

    def __torch_dispatch__(
        self,
        func: Call,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        if _waits(func, args, given):
            name = func._schema.name
            self.waits[name] = self.waits.get(name, 0) + 1
        return _call(func, args, given)


def _enter(mode: inference_mode) -> None:
    mode._before = torch.is_grad_enabled()
    torch.set_grad_enabled(mode._before and not mode.mode)


def _exit(mode: inference_mode, *error: Any) -> None:
    torch.set_grad_enabled(mode._before)


def _waits(func: Call, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    if not any(isinstance(each, OnDevice) for each in tree_leaves((args, kwargs))):
        return False
    name = func._schema.name
    if name == "aten::index":
        # By a mask: how many rows there are has to be known.
        return any(isinstance(n, Tensor) and n.dtype == torch.bool for n in tree_leaves(args[1]))
    to = kwargs.get("device")
    away = name == "aten::_to_copy" and to is not None and torch.device(to).type == "cpu"
    back = name == "aten::copy_" and not isinstance(args[0], OnDevice)
    return away or back or name in _WAITS


def _call(func: Call, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
    own = [each for each in tensors if isinstance(each, OnDevice)]
    others = [each for each in tensors if not isinstance(each, OnDevice) and each.ndim]
    if own and others and func._schema.name not in _COPIES:
        raise RuntimeError(f"{func}: tensors of the CPU and of the device in one operation")
    to = kwargs.get("device")
    given, stays = dict(kwargs), bool(own)
    if to is not None:
        stays = torch.device(to).type == DEVICE.type
        given["device"] = torch.device("cpu")
    if own and func._schema.name == "aten::copy_":
        stays = isinstance(args[0], OnDevice)
    if stays and any(isinstance(each, torch.Generator) for each in tree_leaves((args, kwargs))):
        raise RuntimeError(f"{func}: a generator of the CPU draws on the device")
    found = func(*tree_map(_held, args), **tree_map(_held, given))
    known = {id(each.held): each for each in own}
    if not stays:
        return found
    wrapped = {
        id(each): known[id(each)] if id(each) in known else OnDevice(each)
        for each in _tensors(found)
    }
    return tree_map(lambda each: wrapped.get(id(each), each), found)


def _tensors(found: Any) -> list[Tensor]:
    return [each for each in tree_leaves(found) if isinstance(each, Tensor)]


def _held(each: Any) -> Any:
    return each.held if isinstance(each, OnDevice) else each
