"""PyTorch's threads while weights are trained."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Let PyTorch compute with one thread.

    The number of threads changes the order of sums, and with it the last bits of every weight. It
    is one for the whole process: whoever trains in several threads at once enters this around all
    of them too, so that none of them sets it back while the others train.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
