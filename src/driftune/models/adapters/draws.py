"""Initial weights from a generator of their own, whatever other threads draw meanwhile.

PyTorch initialises modules from one global generator: threads that make modules at once would take
each other's numbers, and a seed would mean nothing.
"""

from collections.abc import Callable
from typing import Any

from torch import Generator, Tensor
from torch.nn import init
from torch.overrides import TorchFunctionMode

# A mode sees the outermost call alone: the initialisers too, not only what they call.
_DRAWING = frozenset(
    {
        *(Tensor.uniform_, Tensor.normal_),
        *(init.uniform_, init.normal_, init.trunc_normal_),
        *(init.xavier_uniform_, init.xavier_normal_),
        *(init.kaiming_uniform_, init.kaiming_normal_),
    }
)


class SeededWeights(TorchFunctionMode):
    """While it is entered, modules that this thread makes on the CPU draw from ``seed``.

    The numbers are those that the global generator would give after ``torch.manual_seed(seed)``.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.generator = Generator().manual_seed(seed)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call ``func``, with this generator where it draws; see ``TorchFunctionMode``."""
        given = kwargs or {}
        if func in _DRAWING and given.get("generator") is None:
            given = {**given, "generator": self.generator}
        return func(*args, **given)
