"""Training of one kernel on a frozen model: labels by ESMM, information by the bottleneck.

L = BCE(click, pCTR) + BCE(click·convert, pCTR·pCVR) + β·KL(q(z|h) ‖ r_d). The BCE terms are the
forward KL from the labels up to a constant. They stand in for the paper's reverse KL (Jiang et
al., arXiv 2501.14268), which is infinite against hard labels.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

from driftune.models.adapters.iak import IAKKernel

Heads = Callable[[Tensor], tuple[Tensor, Tensor]]
Progress = Callable[[str, int, int], None]
CHUNK = 1 << 15


@dataclass(frozen=True)
class TrainReport:
    """How a kernel was trained.

    ``select_loss`` holds the ESMM loss of the selection rows in nats per row, before training and
    after each epoch; ``best_epoch`` is its minimum, whose state the kernel keeps (0: untrained).
    ``kl_bits`` is the kept kernel's mean KL per dimension of z on the selection rows, in bits.
    """

    best_epoch: int
    epochs_run: int
    select_loss: list[float]
    kl_bits: list[float]
    seconds: float


def esmm_loss(click_logit: Tensor, convert_logit: Tensor, click: Tensor, convert: Tensor) -> Tensor:
    """BCE(click, pCTR) + BCE(click·convert, pCTR·pCVR), mean over rows, in nats.

    All arguments are (rows,). From ESMM (Ma et al., SIGIR 2018, arXiv 1804.07931), in log space:
    log(1 − pCTR·pCVR) = log((1 − pCTR) + pCTR·(1 − pCVR)) stays finite where log1mexp of
    log pCTCVR meets log 0.
    """
    click = click.to(click_logit.dtype)
    both = click * convert.to(click_logit.dtype)
    log_click = functional.logsigmoid(click_logit)
    log_no_click = functional.logsigmoid(-click_logit)
    log_both = log_click + functional.logsigmoid(convert_logit)
    log_not_both = torch.logaddexp(log_no_click, log_click + functional.logsigmoid(-convert_logit))
    gained = click * log_click + (1 - click) * log_no_click
    gained = gained + both * log_both + (1 - both) * log_not_both
    return -gained.mean()


def train_kernel(
    kernel: IAKKernel,
    heads: Heads,
    h_train: Tensor,
    clicks: Tensor,
    converts: Tensor,
    h_select: Tensor,
    clicks_select: Tensor,
    converts_select: Tensor,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    beta: float,
    patience: int,
    seed: int,
    weight_decay: float = 1e-4,
    progress: Progress | None = None,
) -> TrainReport:
    """Train ``kernel`` in place with AdamW; it ends in evaluation mode, in its best state.

    ``heads`` maps adapted representations (rows, width) to the logits of pCTR and pCVR: the rest
    of the frozen model, whose parameters get no gradients. Training stops after ``patience``
    epochs without a lower ESMM loss on the selection rows. ``progress`` is called with a label,
    epochs done and ``epochs``. Same kernel, data and seed give the same bytes on a CPU with the
    same number of threads.

    Raises:
        ValueError: when there are no rows on either side, or labels do not match their rows.
    """
    started = time.perf_counter()
    train = _checked("training", h_train, clicks, converts)
    select = _checked("selection", h_select, clicks_select, converts_select)
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; it must be 1 or more")
    optimiser = _optimiser(kernel, learning_rate, weight_decay)
    generator = Generator().manual_seed(seed)
    losses = [_select_loss(kernel, heads, select)]
    best, state = 0, _copy(kernel)
    for epoch in range(1, epochs + 1):
        kernel.train()
        for h, click, convert in _batches(train, batch_size, generator):
            adapted = kernel(h, generator)
            loss = esmm_loss(*heads(adapted.h), click, convert)
            _step(optimiser, loss + beta * adapted.kl.sum(dim=1).mean())
        losses.append(_select_loss(kernel, heads, select))
        if losses[-1] < losses[best]:
            best, state = epoch, _copy(kernel)
        if progress:
            progress("fine-tuning", epoch, epochs)
        if epoch - best >= patience:
            break
    kernel.load_state_dict(state)
    kernel.eval()
    bits = _kl_bits(kernel, select[0])
    return TrainReport(best, len(losses) - 1, losses, bits, time.perf_counter() - started)


def _checked(side: str, h: Tensor, click: Tensor, convert: Tensor) -> tuple[Tensor, ...]:
    if len(h) == 0:
        raise ValueError(f"no {side} rows")
    if click.shape != h.shape[:1] or convert.shape != h.shape[:1]:
        raise ValueError(
            f"{side}: {len(h)} rows, but clicks {tuple(click.shape)} and "
            f"converts {tuple(convert.shape)}"
        )
    return h, click, convert


def _optimiser(
    kernel: IAKKernel, learning_rate: float, weight_decay: float
) -> torch.optim.Optimizer:
    """AdamW that decays matrices only: decayed biases and priors would pull towards a scale."""
    matrices = [parameter for parameter in kernel.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in kernel.parameters() if parameter.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate)


def _batches(
    rows: tuple[Tensor, ...], batch_size: int, generator: Generator
) -> Iterator[tuple[Tensor, ...]]:
    order = torch.randperm(len(rows[0]), generator=generator).to(rows[0].device)
    for batch in order.split(batch_size):
        yield tuple(tensor[batch] for tensor in rows)


def _step(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    """One step on the kernel alone: the frozen model's parameters collect no gradients."""
    parameters = [each for group in optimiser.param_groups for each in group["params"]]
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        parameter.grad = gradient
    optimiser.step()


@torch.no_grad()
def _select_loss(kernel: IAKKernel, heads: Heads, rows: tuple[Tensor, ...]) -> float:
    """Mean ESMM loss of the rows with z = μ; infinite where it is not a number."""
    kernel.eval()
    total = 0.0
    for h, click, convert in zip(*(tensor.split(CHUNK) for tensor in rows), strict=True):
        total += float(esmm_loss(*heads(kernel(h).h), click, convert)) * len(h)
    mean = total / len(rows[0])
    return math.inf if math.isnan(mean) else mean


@torch.no_grad()
def _kl_bits(kernel: IAKKernel, h: Tensor) -> list[float]:
    total = sum(kernel(part).kl.sum(dim=0) for part in h.split(CHUNK))
    return (torch.as_tensor(total) / len(h) / math.log(2)).tolist()


def _copy(kernel: IAKKernel) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in kernel.state_dict().items()}
