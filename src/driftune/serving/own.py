"""A recommender of the user's own, from a bundle: its code, its weights, and what it reads."""

import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from driftune.io import read_json
from driftune.models.recommender import Recommender, Schema
from driftune.serving.lookup import read_arrow
from driftune.serving.manifest import Own
from driftune.serving.rows import Given
from driftune.serving.texts import Coded

MODEL, CODE, HISTORY = "model", "code", "history"
TENSORS, SHAPE, OWN = "backbone.safetensors", "shape.json", "own.json"
_NESTED = ("state_dict", "model_state_dict")


def own_tensors(folder: Path) -> dict[str, Tensor]:
    """The weights of a bundle's model; nothing is unpickled.

    Raises:
        OSError, ValueError, RuntimeError: when they cannot be read.
    """
    path = folder / read_json(folder / OWN)["weights"]
    if path.suffix == ".safetensors":
        from safetensors.torch import load

        # Not mapped into memory: a file that is written over later does not change the weights.
        loaded: dict[str, Tensor] = load(path.read_bytes())
        return loaded
    found = torch.load(path, map_location="cpu", weights_only=True)
    return dict(next((found[name] for name in _NESTED if isinstance(found.get(name), dict)), found))


def own_model(folder: Path, code: Path, tensors: Mapping[str, Tensor]) -> Recommender:
    """Make the model by its factory, from the code in the bundle.

    Raises:
        ValueError: when the code cannot be imported, or the factory fails.
    """
    said = read_json(folder / OWN)
    module, _, name = said["factory"].partition(":")
    known = said["schema"]
    schema = Schema(
        fields=tuple(known["fields"]),
        sizes=tuple(known["sizes"]),
        numbers=tuple(known["numbers"]),
        columns=tuple(known["columns"]),
        history=int(known["history"]),
    )
    _forget_others(code)
    sys.path.insert(0, str(code))
    importlib.invalidate_caches()
    try:
        factory = getattr(importlib.import_module(module), name)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(said["seed"])
            model = factory(schema, **said["options"])
    except Exception as error:
        raise ValueError(f"{said['factory']}: {type(error).__name__}: {error}") from None
    finally:
        sys.path.remove(str(code))
    if not isinstance(model, Recommender):
        raise ValueError(f"{said['factory']} gave a {type(model).__name__}, no Recommender")
    model.load_state_dict(dict(tensors), assign=True)
    return model


def _forget_others(code: Path) -> None:
    """Drop modules that are called as those of the bundle, and are another project's or state's."""
    names = {path.stem for path in code.iterdir()}
    held = [each for each in sys.modules if each.partition(".")[0] in names]
    for name in held:
        file = getattr(sys.modules[name], "__file__", None)
        if file is None or not Path(file).resolve().is_relative_to(code.resolve()):
            del sys.modules[name]


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


def read_pasts(path: Path, own: Own) -> Pasts:
    """Read the users' pasts (see ``features.raw.snapshot_pasts``)."""
    table = read_arrow(path).combine_chunks()
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
