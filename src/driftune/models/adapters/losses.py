"""Losses of rows: labels by ESMM."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

Loss: TypeAlias = Callable[..., Tensor]
"""``loss(output, labels)``: a value of each row, from the model's output and the labels."""


def esmm_rows(logits: Sequence[Tensor], labels: Sequence[Tensor]) -> Tensor:
    """BCE(click, pCTR) + BCE(click·convert, pCTR·pCVR) of each row, in nats, (rows,).

    ``logits``: of pCTR and pCVR; ``labels``: click and convert; (rows,) each. From ESMM (Ma et
    al., SIGIR 2018, arXiv 1804.07931), in log space: log(1 − pCTR·pCVR) =
    log((1 − pCTR) + pCTR·(1 − pCVR)) stays finite where log1mexp of log pCTCVR meets log 0.
    """
    if isinstance(logits, Tensor) or len(logits) != 2:
        raise ValueError(
            "the model does not give two logits (click, convert); for one logit pass "
            "loss=click_rows, for anything else a loss of your own"
        )
    click_logit, convert_logit = logits
    click = labels[0].to(click_logit.dtype)
    both = click * labels[1].to(click_logit.dtype)
    log_click = functional.logsigmoid(click_logit)
    log_no_click = functional.logsigmoid(-click_logit)
    log_both = log_click + functional.logsigmoid(convert_logit)
    log_not_both = torch.logaddexp(log_no_click, log_click + functional.logsigmoid(-convert_logit))
    gained = click * log_click + (1 - click) * log_no_click
    return -(gained + both * log_both + (1 - both) * log_not_both)


def esmm_loss(click_logit: Tensor, convert_logit: Tensor, click: Tensor, convert: Tensor) -> Tensor:
    """Mean of ``esmm_rows`` over the rows, a scalar."""
    return esmm_rows((click_logit, convert_logit), (click, convert)).mean()


def click_rows(logits: Tensor, labels: Sequence[Tensor]) -> Tensor:
    """BCE(click, pCTR) of each row, in nats, (rows,): for models with one logit."""
    click = labels[0].to(logits.dtype)
    return functional.binary_cross_entropy_with_logits(
        logits.view_as(click), click, reduction="none"
    )
