"""A recommender of the user's own, from a bundle: its code, its weights, and what it reads."""

import importlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from driftune.io import Json
from driftune.models.recommender import Recommender, Schema
from driftune.serving.lookup import read_arrow
from driftune.serving.manifest import Own
from driftune.serving.own_code import importing
from driftune.serving.rows import Given
from driftune.serving.texts import Coded

MODEL, CODE, HISTORY = "model", "code", "history"
TENSORS, SHAPE, OWN = "backbone.safetensors", "shape.json", "own.json"
_NESTED = ("state_dict", "model_state_dict")


class _SchemaSaid(TypedDict):
    fields: list[str]
    sizes: list[int]
    numbers: list[str]
    columns: list[str]
    history: int


class Made(TypedDict):
    """What ``own.json`` says of how the model is made, and which file holds its ``weights``."""

    factory: str
    options: dict[str, Json]
    seed: int
    weights: str
    schema: _SchemaSaid


def own_tensors(name: str, files: Mapping[str, bytes]) -> dict[str, Tensor]:
    """The weights of a bundle's model, from the file of this name; nothing is unpickled.

    Raises:
        KeyError, ValueError, RuntimeError: when they cannot be read.
    """
    if name.endswith(".safetensors"):
        from safetensors.torch import load

        loaded: dict[str, Tensor] = load(files[name])
        return loaded
    found = torch.load(io.BytesIO(files[name]), map_location="cpu", weights_only=True)
    return dict(next((found[each] for each in _NESTED if isinstance(found.get(each), dict)), found))


def own_model(said: Made, folder: Path, code: Mapping[str, bytes]) -> Recommender:
    """Make the model by its factory, from the code in the bundle.

    ``code``: the files of ``folder``, by their paths in it.

    Raises:
        ValueError: when the code cannot be imported, or the factory fails.
    """
    module, _, name = said["factory"].partition(":")
    known = said["schema"]
    schema = Schema(
        fields=tuple(known["fields"]),
        sizes=tuple(known["sizes"]),
        numbers=tuple(known["numbers"]),
        columns=tuple(known["columns"]),
        history=int(known["history"]),
    )
    try:
        # A factory may import what it needs when it is called.
        with importing(folder, code), torch.random.fork_rng(devices=[]):
            factory = getattr(importlib.import_module(module), name)
            torch.manual_seed(said["seed"])
            model = factory(schema, **said["options"])
    except Exception as error:
        raise ValueError(f"{said['factory']}: {type(error).__name__}: {error}") from None
    if not isinstance(model, Recommender):
        raise ValueError(f"{said['factory']} gave a {type(model).__name__}, no Recommender")
    return model


@dataclass(frozen=True)
class Pasts:
    """Users' pasts: ``places`` of users; their events begin at ``starts`` (users + 1,) of ``seen``
    (microseconds since 1970) and of each of ``columns``."""

    places: Mapping[str, int]
    starts: np.ndarray
    seen: np.ndarray
    columns: Mapping[str, pa.Array]
    length: int

    def of(self, users: Coded, time: np.ndarray) -> dict[str, pa.Array]:
        """The newest events before each row, oldest first, as lists by ``history_`` and column."""
        known = np.array([self.places.get(user, -1) for user in users.values] + [-1])
        place = known[users.codes]
        starts = np.where(place < 0, 0, self.starts[place])
        ends = np.where(place < 0, 0, self.starts[place + 1])
        newest = self.seen[np.maximum(ends - 1, 0)] if len(self.seen) else np.zeros(len(ends))
        for row in np.flatnonzero((ends > starts) & (newest >= time)):
            first, last = starts[row], ends[row]
            ends[row] = first + np.searchsorted(self.seen[first:last], time[row], side="left")
        starts = np.maximum(starts, ends - self.length)
        counts = ends - starts
        offsets = np.concatenate([[0], np.cumsum(counts)])
        index = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], counts)
        return {
            f"history_{name}": pa.ListArray.from_arrays(
                pa.array(offsets, pa.int32()), values.take(pa.array(index))
            )
            for name, values in self.columns.items()
        }


def read_pasts(data: bytes, own: Own) -> Pasts:
    """Read the users' pasts (see ``features.raw.snapshot_pasts``)."""
    table = read_arrow(data).combine_chunks()
    users = table["past_user"].to_pylist()

    def flat(name: str) -> pa.Array:
        return pa.concat_arrays([part.flatten() for part in table[name].chunks] or [pa.array([])])

    counts = [0 if each is None else len(each) for each in table["seen"]]
    return Pasts(
        dict(zip(users, range(len(users)), strict=True)),
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        flat("seen").to_numpy() if users else np.empty(0, np.int64),
        {name: flat(f"e_{number}") for number, name in enumerate(own.history)},
        own.length,
    )


def own_table(own: Own, pasts: Pasts | None, given: Given, stated: Mapping[str, float]) -> pa.Table:
    """The columns that the model reads as they were logged; ``stated``: those that have another
    value when rows are scored."""
    found = {name: _logged(given, name) for name in own.columns}
    for name, value in stated.items():
        if name in found:
            found[name] = pa.repeat(pa.scalar(value, found[name].type), len(given))
    if pasts is not None:
        found |= pasts.of(given.ids["user"], given.time)
    return pa.table(found)


def _logged(given: Given, name: str) -> pa.Array:
    if name == "time":
        return pa.array(given.time, pa.timestamp("us"))
    if name == "hour":
        return pa.array(given.hour, pa.int8())
    if name in given.numbers:
        return pa.array(given.numbers[name], pa.float64(), from_pandas=True)
    text = given.domain if name == "domain" else given.ids[name]
    return pa.array(text.values, pa.string()).take(pa.array(text.codes, mask=text.codes < 0))
