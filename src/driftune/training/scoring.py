"""Scores of a model on encoded impressions."""

import numpy as np
import torch
from torch import Tensor

from driftune.models.adapters import AdapterBank
from driftune.models.backbone import Backbone
from driftune.training.rows import Rows

CHUNK = 1 << 15


@torch.inference_mode()
def represent(model: Backbone, rows: Rows) -> Tensor:
    """Representations of all rows, (rows, width): what adapters are trained on."""
    if len(rows) == 0:
        return torch.empty(0, model.representation.width)
    parts = [
        model.representation(ids, numbers)
        for ids, numbers in zip(rows.ids.split(CHUNK), rows.numbers.split(CHUNK), strict=True)
    ]
    return torch.cat(parts)


@torch.inference_mode()
def score(
    model: Backbone, rows: Rows, bank: AdapterBank | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """pCTR and pCTCVR of every row, (rows,) each, float64.

    With a ``bank`` each row passes its own domain's adapter, in one mixed forward; domains that
    the bank does not hold take the base path.
    """
    hidden = represent(model, rows)
    slots = None
    if bank is not None:
        names, row_names = np.unique(rows.domain_key, return_inverse=True)
        slots = bank.slots(names.tolist())[torch.from_numpy(row_names)]
    clicks, both = [], []
    for start in range(0, len(rows), CHUNK):
        part = hidden[start : start + CHUNK]
        if bank is not None and slots is not None:
            part = bank(part, slots[start : start + CHUNK])
        click_logit, convert_logit = model.heads(part)
        p_click = torch.sigmoid(click_logit.double())
        clicks.append(p_click.numpy())
        both.append((p_click * torch.sigmoid(convert_logit.double())).numpy())
    if not clicks:
        return np.empty(0), np.empty(0)
    return np.concatenate(clicks), np.concatenate(both)
