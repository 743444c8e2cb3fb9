"""Scores of rows by a generation: those of what serves, and those of challengers beside them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from driftune.models.adapters import AdaptedModel
from driftune.models.adapters.devices import computing
from driftune.models.recommender import Recommender
from driftune.serving.generation import Generation
from driftune.serving.rows import Given

# As training.scoring has it: by the same parts the same rows have the same bits.
CHUNK = 1 << 15
CHALLENGER = "challenger"


class Scores(NamedTuple):
    """pCTR and pCVR of rows, (rows,) float64; no pCVR of a model of clicks alone."""

    click: np.ndarray
    convert: np.ndarray | None


@torch.inference_mode()
def probabilities(now: Generation, given: Given) -> tuple[Scores, dict[str, pa.Array]]:
    """Score rows, and by the challengers that wait where the generation has them: as columns.

    Each row passes its own domain's adapter, in one mixed forward, in the precision in which the
    gate has judged it.
    """
    with computing(torch.device("cpu"), now.manifest.precision):
        if not len(given):
            scores = Scores(np.empty(0), np.empty(0) if now.model.conversions else None)
            return scores, _shadow(now, given, ()) if now.shadow else {}
        inputs = now.model.inputs(now.encode(given))
        scores = scores_of(now, slots_in(now.adapted, given), inputs)
        return scores, _shadow(now, given, inputs) if now.shadow else {}


def slots_in(adapted: AdaptedModel | None, given: Given) -> Tensor:
    """The bank's slot of each row, (rows,) int64; −1 is the base path."""
    of_value = torch.full((len(given.keys) + 1,), -1)
    if adapted is not None:
        of_value = adapted.slots([*given.keys, ""])
    return of_value[torch.from_numpy(given.domain.codes)]


def scores_of(now: Generation, slots: Tensor, inputs: Sequence[Tensor]) -> Scores:
    """What ``probabilities`` gives for the model's inputs, of rows with these slots."""
    return _scores(now.model, now.adapted, slots, inputs)


def _scores(
    model: Recommender, adapted: AdaptedModel | None, slots: Tensor, inputs: Sequence[Tensor]
) -> Scores:
    clicks, converts = [np.empty(0)], [np.empty(0)]
    for start in range(0, len(slots), CHUNK):
        part = slice(start, start + CHUNK)
        some = tuple(each[part] for each in inputs)
        output = model(*some) if adapted is None else adapted(slots[part], *some)
        click, convert = (output, None) if isinstance(output, Tensor) else output
        clicks.append(torch.sigmoid(click.double()).numpy())
        if convert is not None:
            converts.append(torch.sigmoid(convert.double()).numpy())
    return Scores(np.concatenate(clicks), np.concatenate(converts) if model.conversions else None)


def _shadow(now: Generation, given: Given, inputs: Sequence[Tensor]) -> dict[str, pa.Array]:
    """What the challenger of each row's domain says, null where none waits, and its decision.

    The rows of other domains are not computed.
    """
    waiting = now.manifest.challengers or {}
    slots = slots_in(now.challengers, given)
    for wrong in given.wrong.values():
        slots[torch.from_numpy(wrong)] = -1
    judged = slots.numpy() >= 0
    own = torch.from_numpy(np.flatnonzero(judged))
    none = Scores(np.empty(0), None)
    some = [each[own] for each in inputs]
    scores = _scores(now.model, now.challengers, slots[own], some) if len(own) else none
    told = scores.convert is not None and now.manifest.conversions
    both = scores.click * scores.convert if scores.convert is not None else None
    decisions = [waiting[key].decision if key in waiting else None for key in given.keys]
    decision = pa.array(decisions, pa.string()).take(pa.array(given.domain.codes, mask=~judged))
    return {
        f"{CHALLENGER}_p_click": _spread(scores.click, judged),
        f"{CHALLENGER}_p_convert": _spread(scores.convert if told else None, judged),
        f"{CHALLENGER}_p_ctcvr": _spread(both if told else None, judged),
        CHALLENGER: decision,
    }


def _spread(values: np.ndarray | None, judged: np.ndarray) -> pa.Array:
    """The values of the rows that were judged at their places among all; null elsewhere."""
    if values is None:
        return pa.nulls(len(judged), pa.float64())
    whole = np.zeros(len(judged))
    whole[judged] = values
    return pa.array(whole, mask=~judged)
