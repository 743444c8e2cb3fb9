"""How long parts of a call take."""

import time
from collections.abc import Callable

import torch
from torch import Tensor

from driftune.models.adapters import AdapterBank, attach
from driftune.models.adapters.outputs import Output
from driftune.models.adapters.split import split
from driftune.models.recommender import Recommender

_TIMES = 5


def share_below(
    model: Recommender, inputs: tuple[Tensor, ...], at: list[str]
) -> tuple[float | None, str | None]:
    """The share of a call's time that lies below the places, and why it is not known."""
    with attach(model, AdapterBank(), at) as adapted:
        halves = split(adapted, inputs)
        if halves.problem is not None:
            return None, halves.problem
        # In turns: what else the machine does meanwhile slows both alike.
        pairs = [
            (_seconds(lambda: halves.below(*inputs)), _seconds(lambda: model(*inputs)))
            for _ in range(_TIMES)
        ]
    below, whole = (min(taken) for taken in zip(*pairs, strict=True))
    return min(1.0, below / whole), None


@torch.inference_mode()
def _seconds(call: Callable[[], Output]) -> float:
    began = time.perf_counter()
    call()
    return max(time.perf_counter() - began, 1e-9)
