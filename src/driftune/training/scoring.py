"""Scores of a model on encoded impressions."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from driftune.models.adapters import AdapterBank, attach
from driftune.models.recommender import Recommender
from driftune.training.rows import Rows

CHUNK = 1 << 15


@torch.inference_mode()
def score(
    model: Recommender, rows: Rows, bank: AdapterBank | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Score rows: pCTR and pCTCVR of each, (rows,), float64; of a model of clicks alone pCTR twice.

    Numbers that debias (``features.debias``) have their stated value, which is for what ranks rows;
    what compares probabilities with labels scores ``rows.as_shown()``. With a ``bank`` each row
    passes its own domain's adapter, in one mixed forward; domains that the bank does not hold take
    the base path.
    """
    inputs = model.inputs(rows.as_scored())
    if bank is None or not bank.widths:
        return _score(rows, lambda part: model(*_part(inputs, part)))
    import pandas as pd

    # By hash: sorting a million keys takes longer than scoring their rows.
    row_names, names = pd.factorize(rows.domain_key)
    with attach(model, bank, list(bank.widths)) as adapted:
        slots = adapted.slots(names.tolist())[torch.from_numpy(row_names)]
        return _score(rows, lambda part: adapted(slots[part], *_part(inputs, part)))


@torch.inference_mode()
def score_clicks(model: Recommender, rows: Rows, bank: AdapterBank) -> np.ndarray:
    """Score clicks alone: pCTR of every row as ``score`` has it, without the other tower where no
    adapter serves.
    """
    if bank.widths:
        return score(model, rows, bank)[0]
    found, inputs = [np.empty(0)], model.inputs(rows.as_scored())
    for start in range(0, len(rows), CHUNK):
        part = slice(start, start + CHUNK)
        logit = model.click_logit(*_part(inputs, part))
        found.append(torch.sigmoid(logit.double()).numpy())
    return np.concatenate(found)


def _part(inputs: tuple[Tensor, ...], part: slice) -> tuple[Tensor, ...]:
    return tuple(each[part] for each in inputs)


def _score(
    rows: Rows, forward: Callable[[slice], Tensor | tuple[Tensor, Tensor]]
) -> tuple[np.ndarray, np.ndarray]:
    clicks, both = [np.empty(0)], [np.empty(0)]
    for start in range(0, len(rows), CHUNK):
        output = forward(slice(start, start + CHUNK))
        click_logit, convert_logit = (output, None) if isinstance(output, Tensor) else output
        p_click = torch.sigmoid(click_logit.double())
        clicks.append(p_click.numpy())
        p_convert = 1.0 if convert_logit is None else torch.sigmoid(convert_logit.double())
        both.append((p_click * p_convert).numpy())
    return np.concatenate(clicks), np.concatenate(both)
