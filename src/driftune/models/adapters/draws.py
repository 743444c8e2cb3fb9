"""Initial weights from a generator of their own, whatever other threads draw meanwhile.

PyTorch initialises modules from one global generator: threads that make modules at once would take
each other's numbers, and a seed would mean nothing.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import torch
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


class BatchDraws(Generator):
    """A generator that gives a part of a batch the numbers which the whole batch would draw.

    Whatever the parts, ``normal`` draws for the whole batch when it is first asked for its n-th
    numbers, from ``source``, and hands each part its rows of them.
    """

    def __new__(cls, source: Generator, rows: int) -> "BatchDraws":
        """Make a generator; what it draws by itself is of no use."""
        return super().__new__(cls)

    def __init__(self, source: Generator, rows: int) -> None:
        """Draw for batches of so many rows from ``source``."""
        super().__init__()
        self._source, self._rows = source, rows
        self._drawn: list[Tensor] = []
        self._own, self._asked = slice(0, rows), 0

    def begin(self, start: int, stop: int) -> None:
        """Begin with the part of the rows from ``start`` to ``stop``."""
        self._own, self._asked = slice(start, stop), 0

    def normal(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Standard normal numbers for the part, on the CPU: (rows or rows · steps, …)."""
        steps = shape[0] // (self._own.stop - self._own.start)
        if self._asked == len(self._drawn):
            whole = (self._rows * steps, *shape[1:])
            self._drawn.append(torch.randn(whole, generator=self._source, dtype=dtype))
        self._asked += 1
        return self._drawn[self._asked - 1][self._own.start * steps : self._own.stop * steps]
