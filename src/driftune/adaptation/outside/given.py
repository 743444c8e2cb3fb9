"""What a job is given, read for one that is written in Python: the frozen model, and its rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from driftune.config.loading import load_config
from driftune.errors import OvertakenError
from driftune.features.encoder import Encoder
from driftune.features.raw import PREFIX
from driftune.io import Json
from driftune.models.recommender import Recommender
from driftune.training.pretrain import load_model


@dataclass(frozen=True)
class GivenRows:
    """Rows of a part as the model's ``inputs`` takes them, and their labels, (rows,) float32."""

    ids: Tensor
    numbers: Tensor
    table: pa.Table
    click: Tensor
    convert: Tensor

    def __len__(self) -> int:
        return len(self.click)


@dataclass(frozen=True)
class Given:
    """The frozen model, on ``adapter.device``, and the mark that its adapters have in their
    cards."""

    encoder: Encoder
    model: Recommender
    backbone: str

    def rows(self, path: str | Path) -> GivenRows:
        """Read a Parquet file of the job, in its order."""
        rows = pq.read_table(path)

        def matrix(prefix: str, width: int, kind: type) -> Tensor:
            values = np.empty((rows.num_rows, width), dtype=kind)
            for number in range(width):
                values[:, number] = rows.column(f"{prefix}_{number}").to_numpy()
            return torch.from_numpy(values)

        names = self.encoder.raw
        click, convert = (
            torch.from_numpy(rows.column(name).to_numpy().astype(np.float32))
            for name in ("click", "convert")
        )
        return GivenRows(
            matrix("c", len(self.encoder.fields), np.int64),
            matrix("x", len(self.encoder.numbers), np.float32),
            rows.select([f"{PREFIX}{name}" for name in names]).rename_columns([*names]),
            click,
            convert,
        )


def load_given(job: Mapping[str, Json]) -> Given:
    """Load what a job is to train on, the built-in model or one of the user's own.

    Args:
        job: the job's JSON file.

    Raises:
        DriftuneError: when ``params`` of the job or the model cannot be read.
        OvertakenError: when the model is another one than when the job was made.
    """
    encoder, model, mark = load_model(load_config(Path(str(job["params"]))))
    if mark != job["backbone_fingerprint"]:
        raise OvertakenError(f"{job['params']}: the model changed since the training job was made")
    return Given(encoder, model, mark)
