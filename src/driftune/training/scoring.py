"""Scores of a model on encoded impressions."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from torch import Tensor

from driftune.errors import DeviceFullError
from driftune.models.adapters import AdapterBank, attach
from driftune.models.adapters.devices import (
    Chunk,
    DeviceMemoryError,
    computing,
    device_of,
)
from driftune.models.adapters.feeding import over_chunks
from driftune.models.adapters.outputs import parts_of
from driftune.models.recommender import Recommender
from driftune.training.rows import Rows

CHUNK = 1 << 15
# Rows whose logged columns are made tensors at once; whole chunks.
SLICE = 2 * CHUNK


def score(
    model: Recommender, rows: Rows, bank: AdapterBank | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Score rows: pCTR and pCTCVR of each, (rows,), float64; of a model of clicks alone pCTR twice.

    Numbers that debias (``features.debias``) have their stated value, which is for what ranks rows;
    what compares probabilities with labels scores ``rows.as_shown()``. With a ``bank`` each row
    passes its own domain's adapter, in one mixed forward; domains that the bank does not hold take
    the base path. The model computes where it lies, in its own precision, and the bank is brought
    there; probabilities are made of its logits on the CPU, in float64.

    Raises:
        DeviceFullError: when the device's memory does not suffice for few rows at once, or for
            the bank.
    """
    if bank is None or not bank.widths:
        found = _logits(model, rows, lambda first, *part: parts_of(model(*part)))
    else:
        import pandas as pd

        # By hash: sorting a million keys takes longer than scoring their rows.
        row_names, names = pd.factorize(rows.domain_key)
        with _one_line(), attach(model, bank, list(bank.widths)) as adapted:
            slots = adapted.slots(names.tolist())[torch.from_numpy(row_names)]
            found = _logits(
                model,
                rows,
                lambda first, *part: parts_of(adapted(slots[first : first + len(part[0])], *part)),
            )
    clicks, both = [np.empty(0)], [np.empty(0)]
    for click_logit, *convert_logits in found:
        p_click = _probability(click_logit)
        clicks.append(p_click.numpy())
        for convert_logit in convert_logits:
            p_click = p_click * _probability(convert_logit)
        both.append(p_click.numpy())
    return np.concatenate(clicks), np.concatenate(both)


def score_clicks(model: Recommender, rows: Rows, bank: AdapterBank) -> np.ndarray:
    """Score clicks alone: pCTR of every row as ``score`` has it, without the other tower where no
    adapter serves.
    """
    if bank.widths:
        return score(model, rows, bank)[0]
    found = _logits(model, rows, lambda first, *part: (model.click_logit(*part),))
    return np.concatenate([np.empty(0), *(_probability(logit).numpy() for (logit,) in found)])


@torch.inference_mode()
def _logits(
    model: Recommender, rows: Rows, forward: Callable[..., tuple[Tensor, ...]]
) -> list[tuple[Tensor, ...]]:
    """What ``forward`` gives for the rows, chunk after chunk, on the model's device.

    Nobody waits for the device before all chunks are on their way. Tensors of logged columns are
    made for some rows at a time: pasts padded to their full length take many times their rows.
    """
    device, chunk = device_of(model), Chunk(CHUNK, "scoring")
    size = SLICE if rows.table.num_columns else max(1, len(rows))
    found: list[tuple[Tensor, ...]] = []
    with _one_line(), computing(device, model.precision):
        for start in range(0, max(1, len(rows)), size):
            inputs = model.inputs(rows.part(start, size).as_scored())
            found += over_chunks(inputs, device, chunk, partial(_from, start, forward))
    return found


@contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except DeviceMemoryError as error:
        raise DeviceFullError(str(error)) from None


def _from(
    start: int, forward: Callable[..., tuple[Tensor, ...]], first: int, *part: Tensor
) -> tuple[Tensor, ...]:
    """What ``forward`` gives for rows that begin ``first`` rows after ``start``."""
    return forward(start + first, *part)


def _probability(logit: Tensor) -> Tensor:
    """Sigmoid on the CPU in float64, which not every device has."""
    return torch.sigmoid(logit.cpu().double())
