"""What a model does in one call: its modules' outputs, random numbers, and what it changes."""

import time
import zlib
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from driftune.deployment.check_model.subject import forward
from driftune.models.adapters.outputs import Output
from driftune.models.recommender import Recommender


class Call(NamedTuple):
    """A module's call, in the order in which they end: seconds since the model's began.

    ``drew``: whether random numbers were drawn in it.
    """

    name: str
    output: Output
    drew: bool
    ended: float


def watch(model: Recommender, inputs: tuple[Tensor, ...]) -> list[Call]:
    """The calls of the model's modules while it computes these rows."""
    calls: list[Call] = []
    before: list[Tensor] = []
    began = time.perf_counter()

    def enter(module: nn.Module, args: tuple[Output, ...]) -> None:
        before.append(torch.get_rng_state())

    def leave(name: str) -> Callable[[nn.Module, tuple[Output, ...], Output], None]:
        def note(module: nn.Module, args: tuple[Output, ...], output: Output) -> None:
            drew = not torch.equal(before.pop(), torch.get_rng_state())
            kept = output.clone() if isinstance(output, Tensor) else output
            calls.append(Call(name, kept, drew, time.perf_counter() - began))

        return note

    handles = []
    for name, module in model.named_modules():
        handles += [
            module.register_forward_pre_hook(enter),
            module.register_forward_hook(leave(name)),
        ]
    try:
        forward(model, inputs)
    finally:
        for handle in handles:
            handle.remove()
    return calls


def states(model: nn.Module) -> dict[str, int]:
    """A checksum of each parameter and buffer; nothing of a large one is copied."""
    return {name: _checksum(each) for name, each in _tensors(model)}


def changed(before: dict[str, int], after: dict[str, int]) -> list[str]:
    """Names of the tensors that are not what they were."""
    return [name for name, value in after.items() if before.get(name) != value]


def size(model: nn.Module) -> int:
    """Bytes of all parameters and buffers."""
    return sum(each.numel() * each.element_size() for _, each in _tensors(model))


def named(model: nn.Module, name: str) -> str:
    """A module as a line names it."""
    part = dict(model.named_modules())[name]
    return f"'{name}' ({type(part).__name__})" if name else f"{type(part).__name__}.forward itself"


def _tensors(model: nn.Module) -> list[tuple[str, Tensor]]:
    return [*model.named_parameters(), *model.named_buffers()]


def _checksum(tensor: Tensor) -> int:
    whole = tensor.detach().contiguous().reshape(-1).view(torch.uint8)
    return zlib.crc32(whole.numpy().data)
