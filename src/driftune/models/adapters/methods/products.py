"""Products of several kernels' weights with their rows, in one call for all of them."""

import torch
from torch import Tensor

# A batch of one product is shared out over batches, not over rows: one core would do it all.


def affine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Give x W + b of n kernels: (n, rows, in), (n, in, out), (n, 1, out) make (n, rows, out)."""
    if _is_one(x):
        return torch.addmm(bias[0], x[0], weight[0]).unsqueeze(0)
    return torch.baddbmm(bias, x, weight)


def product(x: Tensor, weight: Tensor) -> Tensor:
    """Give x W of n kernels: (n, rows, in) and (n, in, out) make (n, rows, out)."""
    if _is_one(x):
        return torch.mm(x[0], weight[0]).unsqueeze(0)
    return torch.bmm(x, weight)


def add_product_(total: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """Add x W of n kernels to ``total`` (n, rows, out), which is written into and returned."""
    if _is_one(x):
        total[0].addmm_(x[0], weight[0])
        return total
    return total.baddbmm_(x, weight)


def _is_one(x: Tensor) -> bool:
    """Whether these are rows of one kernel. An exported program must not ask how many there are:
    it would hold for as many only."""
    return not torch.compiler.is_exporting() and len(x) == 1
