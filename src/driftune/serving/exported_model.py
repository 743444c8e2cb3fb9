"""The files of the served model: the built-in one's, or those of one of the user's own."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path

import torch
from safetensors.torch import load

from driftune.config import Config
from driftune.config.workspace import Workspace
from driftune.errors import BundleError
from driftune.features.raw import past_days, snapshot_pasts
from driftune.io import JsonObject, json_text
from driftune.lake.clock import day_start
from driftune.lake.scratch import connect_within
from driftune.lake.table import Lake
from driftune.models.esmm import ESMM
from driftune.models.own import Origin, code_files, code_hash, schema_of, weights_file
from driftune.project import Served
from driftune.serving.own import CODE, HISTORY, MODEL, OWN, SHAPE, TENSORS
from driftune.serving.parts import Part
from driftune.serving.snapshot import written

Files = Mapping[str, Path | bytes]


def model_files(config: Config, served: Served) -> dict[str, Files]:
    """The files of the model, by their parts."""
    settings = config.recommender
    if settings is None:
        assert isinstance(served.model, ESMM)
        tensors = Workspace(config).model / "backbone" / TENSORS
        return {MODEL: {TENSORS: tensors, SHAPE: as_bytes(dict(served.model.shape))}}
    weights = weights_file(config, settings)
    said: JsonObject = {
        "factory": settings.factory,
        "options": settings.options,
        "seed": config.seed,
        "weights": f"weights{weights.suffix}",
        "schema": json.loads(json.dumps(asdict(schema_of(config, served.encoder)))),
    }
    code: dict[str, Path | bytes] = {**code_files(config, settings)}
    return {MODEL: {f"weights{weights.suffix}": weights, OWN: as_bytes(said)}, CODE: code}


def require_served(
    config: Config, served: Served, to: Path, parts: Mapping[str, Part], encoder: bytes
) -> None:
    """See that the parts in a bundle are the model and the encoder that the project serves.

    Files are copied after they were read, and a pre-training may end in between.

    Raises:
        BundleError: when they are others.
    """
    settings = config.recommender
    if settings is None:
        copied = load(parts[MODEL].contents(to)[TENSORS])
        mine = served.model.state_dict()
        same = copied.keys() == mine.keys() and all(
            torch.equal(copied[name], mine[name].cpu()) for name in mine
        )
    else:
        [weights] = [sha for name, sha in parts[MODEL].files.items() if name != OWN]
        mark = Origin(weights, code_hash(parts[CODE].files)).mark(settings)
        same = mark == served.backbone
    card = hashlib.sha256(json_text(json.loads(encoder)).encode()).hexdigest()
    if not same or card != served.encoder.fingerprint:
        raise BundleError(
            f"{to}: model or encoder changed while they were exported, by driftune pretrain; the "
            "former bundle stays; run it again"
        )


def past_files(config: Config, view: Lake, last: date) -> dict[str, Files]:
    """The users' pasts as rows of the day after ``last`` read them, as a part; none where the
    model reads none."""
    own = config.recommender
    if own is None or own.history is None:
        return {}
    after = last + timedelta(days=1)
    moment = f"TIMESTAMP '{day_start(config, after).isoformat(sep=' ')}'"
    rows = view.relation(past_days(config, view, after))
    with connect_within(config, [view.place]) as con:
        table = con.sql(snapshot_pasts(config, rows, moment)).to_arrow_table()
    return {HISTORY: {"pasts.arrow": written(table)}}


def own_columns(config: Config) -> JsonObject | None:
    """What the manifest says of the columns that a recommender of the user's own reads."""
    own = config.recommender
    if own is None:
        return None
    past = own.history
    return {
        "columns": [*own.columns],
        "history": [] if past is None else [*past.columns],
        "length": 0 if past is None else past.length,
    }


def as_bytes(value: JsonObject | dict[str, int | list[int]]) -> bytes:
    """JSON, the same for the same value."""
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()
