"""Groups of kindred items, for logs whose items have no category: clusters of their embeddings.

Learned once, from the frozen backbone, and kept beside it: the calibration signal compares clicks
with predictions group by group, and the groups must be the same on every day.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from driftune.config import Config
from driftune.errors import BackboneError
from driftune.features.encoder import Encoder
from driftune.io import read_json, write_sealed
from driftune.lake.duck import connect, parquet
from driftune.models.recommender import Recommender

FILE = "groups.json"
# Items that clusters are made of, the most frequent ones; the others join the nearest.
CLUSTERED = 20_000
# Items that name a group: its most frequent ones, one where it is long.
NAMED, LONG = 2, 12
# What the one group is called where the model knows no kindred items.
ALL = "all items"


@dataclass(frozen=True)
class ItemGroups:
    """The group of every item of the vocabulary (items,), from 0, and what the groups are called.

    ``mark`` is the fingerprint of the backbone whose embeddings were clustered.
    """

    groups: np.ndarray
    names: tuple[str, ...]
    mark: str

    @property
    def label(self) -> str:
        """What they are known by, in a few characters."""
        return f"{self.mark[:16]} {len(self.names)}"


def learn_groups(config: Config, encoder: Encoder, model: Recommender, mark: str) -> ItemGroups:
    """Cluster the items of the vocabulary into about ``drift.top_categories`` groups.

    The first group is that of the most frequent item. A model without embeddings of items, and a
    vocabulary of one, has one group.
    """
    number = encoder.fields.index("item")
    items = encoder.sizes[number] - encoder.buckets - 1
    vectors = model.field_vectors(number)
    if vectors is None:
        return ItemGroups(np.zeros(items, dtype=np.int64), (ALL,) if items else (), mark)
    groups = np.zeros(items, dtype=np.int64)
    if items > 1:
        known = vectors.detach().cpu().double().numpy()[encoder.buckets + 1 :]
        groups = _clusters(known, min(config.drift.top_categories, items), config.seed)
    return ItemGroups(groups, _names(encoder, groups), mark)


def save_groups(folder: Path, learned: ItemGroups) -> None:
    """Write the groups beside the backbone, with their checksum."""
    card = {
        "backbone": learned.mark,
        "groups": learned.groups.tolist(),
        "names": list(learned.names),
    }
    write_sealed(folder / FILE, card)


def load_groups(folder: Path, encoder: Encoder, mark: str) -> ItemGroups:
    """Load the groups of the backbone with this fingerprint.

    Raises:
        BackboneError: when they are missing, damaged, or of another backbone.
    """
    path = folder / FILE
    try:
        card = read_json(path)
        groups = np.array(card["groups"], dtype=np.int64)
        names, owner = tuple(map(str, card["names"])), card["backbone"]
    except FileNotFoundError:
        raise BackboneError(f"{path}: no groups of items yet; run driftune pretrain") from None
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise BackboneError(f"{path}: damaged ({error}); run driftune pretrain") from None
    items = encoder.sizes[encoder.fields.index("item")] - encoder.buckets - 1
    if owner != mark or groups.shape != (items,):
        raise BackboneError(f"{path}: is of another backbone; run driftune pretrain")
    return ItemGroups(groups, names, mark)


def _clusters(vectors: np.ndarray, most: int, seed: int) -> np.ndarray:
    """The cluster (items,) of each vector (items, width) by k-means, numbered as they first occur.

    Its first centres are drawn far apart (Arthur and Vassilvitskii, SODA 2007).
    """
    from scipy.cluster.vq import kmeans2, vq

    sample = vectors[:CLUSTERED]
    wanted = min(most, len(np.unique(sample, axis=0)))
    with warnings.catch_warnings():
        # A cluster that ends empty is one group less.
        warnings.simplefilter("ignore", UserWarning)
        centres, _ = kmeans2(sample, wanted, iter=30, minit="++", rng=seed)
    nearest, _ = vq(vectors, centres)
    _, first, place = np.unique(nearest, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first, kind="stable"), kind="stable")
    return np.asarray(order[place], dtype=np.int64)


def _names(encoder: Encoder, groups: np.ndarray) -> tuple[str, ...]:
    """What each group is called: after its most frequent items."""
    with connect(reach=[encoder.vocabulary]) as con:
        found = con.execute(
            f"SELECT value FROM {parquet(encoder.vocabulary)} WHERE field = 'item' ORDER BY id"
        ).fetchall()
    names = []
    for group in range(int(groups.max()) + 1 if len(groups) else 0):
        first = [found[place][0] for place in np.flatnonzero(groups == group)[:NAMED]]
        shown = first if max(map(len, first)) <= LONG else first[:1]
        names.append(f"items like {' and '.join(shown)}")
    return tuple(names)
