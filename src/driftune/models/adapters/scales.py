"""Standardisation of kernels before their training, by what their places give."""

from collections.abc import Callable

import torch
from torch import Tensor

from driftune.models.adapters.adapter import Adapter
from driftune.models.adapters.attach import AdaptedModel
from driftune.models.adapters.devices import Chunk
from driftune.models.adapters.examples import Examples, Kept
from driftune.models.adapters.feeding import over_chunks
from driftune.models.adapters.outputs import Output, flat, parts_of

FEW_ROWS, SCALE_ROWS = 1000, 1 << 14


def fit_scales(
    adapted: AdaptedModel, examples: Examples, kept: Kept, above: Callable[..., Output]
) -> None:
    """Standardise the kernels by their domain's rows; those of small domains by all rows."""
    parts: list[tuple[list[str], Tensor]] = []
    small: list[str] = []
    used = set(examples.domains.tolist())
    for domain in adapted.domains:
        slot = int(adapted.slots([domain]))
        if slot not in used or not adapted.unfitted(domain):
            continue
        rows = examples.rows_of(slot)
        if len(rows) >= FEW_ROWS:
            parts.append(([domain], rows))
        else:
            small.append(domain)
    if small:
        parts.append((small, torch.arange(len(examples), device=examples.domains.device)))
    for domains, rows in parts:
        rows = rows[:: max(1, len(rows) // SCALE_ROWS)]
        adapted.fit_scale_to(domains, _observe(above, kept, rows))


def fit_scale(adapter: Adapter, rows: Tensor, kept: Kept, above: Callable[..., Output]) -> None:
    """Standardise an adapter's kernels that need it, by these rows alone, however few."""
    unfitted = [(place, kernel) for place, kernel in adapter.items() if kernel.needs_scale]
    if unfitted:
        seen = _observe(above, kept, rows[:: max(1, len(rows) // SCALE_ROWS)])
        for place, kernel in unfitted:
            kernel.fit_scale(seen[place])


@torch.no_grad()
def _observe(above: Callable[..., Output], kept: Kept, rows: Tensor) -> dict[str, Tensor]:
    """What the places give for rows without adapters, from what lies below them."""
    chunk = Chunk(SCALE_ROWS, "the kernels' standardisation")
    parts = over_chunks(
        [rows], rows.device, chunk, lambda _, part: _observed(above, kept.take(part))
    )
    return {place: torch.cat([each[place] for each in parts]) for place in parts[0]}


def _observed(above: Callable[..., Output], values: tuple[Tensor, ...]) -> dict[str, Tensor]:
    seen: dict[str, Tensor] = {}

    def keep(place: str, output: Output, inputs: tuple[Tensor, ...]) -> Output:
        # A module that follows may write into what this one gave.
        seen[place] = flat(parts_of(output)[0].clone())
        return output

    above(keep, *values)
    return seen
