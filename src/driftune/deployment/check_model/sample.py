"""Reference rows to check a model with; nothing that a project keeps is changed for them."""

from collections.abc import Callable

import numpy as np

from driftune.config import Config
from driftune.config.registry import Registry
from driftune.config.workspace import Workspace
from driftune.errors import BackboneError
from driftune.features.encoder import Encoder, load_encoder
from driftune.features.raw import raw_names
from driftune.lake.scratch import scratch
from driftune.lake.table import Lake
from driftune.registry.ledger import Ledger
from driftune.training.pretrain import encode, encoder_folder, reference_rows
from driftune.training.rows import Rows

Progress = Callable[[str, int, int], None]


def sample(
    config: Config, count: int, progress: Progress | None = None
) -> tuple[Encoder, Rows, bool]:
    """The encoder, reference rows evenly over time, and whether they did not train the model.

    Where the lake lacks reference days, or there is no encoder yet, both are made in a scratch
    folder that is removed.

    Raises:
        DriftuneError: when the reference days cannot be read.
    """
    if (encoder_folder(config) / "encoder.json").exists():
        encoder = load_encoder(encoder_folder(config), raw_names(config))
        if set(Lake.of(config).days).issuperset(config.reference.days):
            return encoder, *_drawn(config, count, progress)
    if Workspace(config).suppressed.exists():
        raise BackboneError(
            f"{Workspace(config).suppressed}: users were erased, and the reference days are not in "
            "the lake or not encoded; run driftune pretrain --only encode first"
        )
    with scratch(config, "check-model") as folder:
        apart = config.model_copy(
            update={"workspace": str(folder), "lake": None, "registry": Registry()}
        )
        with Ledger(apart) as ledger:
            encode(apart, ledger, progress)
        encoder = load_encoder(encoder_folder(apart), raw_names(apart))
        return encoder, *_drawn(apart, count, progress)


def _drawn(config: Config, count: int, progress: Progress | None) -> tuple[Rows, bool]:
    trained, held_out = reference_rows(config, progress)
    rows = held_out if len(held_out) else trained
    places = np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(np.int64)
    return rows.take(places), len(held_out) > 0
