"""Weak sides: what is wrong with champion and challenger, beside plain models."""

from collections.abc import Sequence

import numpy as np

from driftune.evaluation.baselines import Impressions
from driftune.evaluation.gate import Scores
from driftune.evaluation.weakness import plain_rates, weakness
from driftune.registry.records.gate import WeakSides
from driftune.training.rows import Rows


def weak_sides(
    rows: Rows, earlier: Sequence[Rows], item_field: int, champion: Scores, challenger: Scores
) -> WeakSides:
    """Both sides beside the baselines, which count the ``earlier`` rows of the same domain.

    Args:
        rows: that judge; at least one.
        earlier: those that trained the challenger and chose its epoch.
        item_field: the place of the item among the encoder's fields.
    """
    click = rows.click.numpy().astype(np.float64)
    before = [_impressions(each, item_field) for each in earlier]
    plain = plain_rates(_joined(before), _impressions(rows, item_field))
    if plain is None or not len(rows):
        return WeakSides()
    found = {
        name: weakness(
            click,
            np.asarray(side.as_shown.p_click, dtype=np.float64),
            plain,
            np.asarray(side.p_click, dtype=np.float64),
        )
        for name, side in (("champion", champion), ("challenger", challenger))
        if np.isfinite(side.p_click).all() and np.isfinite(side.as_shown.p_click).all()
    }
    return WeakSides(champion=found.get("champion"), challenger=found.get("challenger"))


def _impressions(rows: Rows, item_field: int) -> Impressions:
    return Impressions(
        rows.click.numpy().astype(np.float64),
        np.zeros(len(rows), dtype=np.int64),
        rows.ids[:, item_field].numpy(),
        rows.position,
    )


def _joined(parts: Sequence[Impressions]) -> Impressions:
    return Impressions(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("click", "domain", "item", "position")
        )
    )
