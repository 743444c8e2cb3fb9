"""Initial weights from a generator of their own, whatever other threads draw meanwhile.

PyTorch initialises modules from one global generator: threads that make modules at once would take
each other's numbers, and a seed would mean nothing.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from torch import Generator, Tensor
from torch.nn import init
from torch.overrides import TorchFunctionMode

from driftune.models.adapters.outputs import Argument

Result = TypeVar("Result")

# A mode sees the outermost call alone: the initialisers too, not only what they call.
_DRAWING = frozenset(
    {
        *(Tensor.uniform_, Tensor.normal_),
        *(init.uniform_, init.normal_, init.trunc_normal_),
        *(init.xavier_uniform_, init.xavier_normal_),
        *(init.kaiming_uniform_, init.kaiming_normal_),
    }
)


def named_seed(seed: int, name: str) -> int:
    """A seed of its own for a domain; 32 bits, which are all that torch's CPU generator takes."""
    return zlib.crc32(f"{seed} {name}".encode())


class SeededWeights(TorchFunctionMode):
    """While it is entered, modules that this thread makes on the CPU draw from ``seed``.

    The numbers are those that the global generator would give after ``torch.manual_seed(seed)``.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.generator = Generator().manual_seed(seed)

    def __torch_function__(
        self,
        func: Callable[..., Result],
        types: Sequence[type],
        args: tuple[Argument, ...] = (),
        kwargs: "Mapping[str, Argument | Generator] | None" = None,
    ) -> Result:
        """Call ``func``, with this generator where it draws; see ``TorchFunctionMode``."""
        given = kwargs or {}
        if func in _DRAWING and given.get("generator") is None:
            given = {**given, "generator": self.generator}
        return func(*args, **given)
