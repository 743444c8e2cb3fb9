"""Groups of items that stand in for categories: what they are, and that they are the backbone's."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pytest
import torch

from driftune.drift.cells import FIRST, MOST, NEW, NONE, group_cells
from driftune.errors import BackboneError
from driftune.features.encoder import Encoder
from driftune.io import write_json
from driftune.models.esmm import ESMM
from driftune.models.recommender import Recommender
from driftune.training.groups import FILE, ItemGroups, learn_groups, load_groups, save_groups
from tests.conftest import World

BUCKETS, KINDS, EACH = 4, 3, 20
ITEMS = KINDS * EACH


def encoder_of(folder: Path, items: int = ITEMS, name: str = "i") -> Encoder:
    """An encoder whose items are i0, i1, … by how often they were shown."""
    file = folder / "vocabulary.parquet"
    duckdb.sql(
        f"COPY (SELECT 'item' AS field, '{name}' || n AS value, n + {BUCKETS + 1} AS id "
        f"FROM range({items}) t(n)) TO '{file}'"
    )
    sizes = (1 + BUCKETS + items,)
    return Encoder(("item",), sizes, BUCKETS, (), (), (), file, "f" * 64)


def kindred(encoder: Encoder) -> ESMM:
    """A model that holds item n for one of the kind n modulo ``KINDS``."""
    model = ESMM(encoder.sizes, 0, 6, [4])
    rng = np.random.default_rng(0)
    kind = np.arange(encoder.sizes[0] - BUCKETS - 1) % KINDS
    vectors = 5 * np.eye(6)[kind] + rng.normal(0, 0.1, (len(kind), 6))
    with torch.no_grad():
        model.representation.table.weight[BUCKETS + 1 :] = torch.from_numpy(vectors).float()
    return model


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world(drift={"top_categories": KINDS})


def test_kindred_items_are_one_group_numbered_from_the_most_frequent(
    tmp_path: Path, world: World
) -> None:
    encoder = encoder_of(tmp_path)
    learned = learn_groups(world.config, encoder, kindred(encoder), "m")
    assert np.array_equal(learned.groups, np.arange(ITEMS) % KINDS)
    assert learned.names == tuple(f"items like i{n} and i{n + KINDS}" for n in range(KINDS))


def test_long_ids_name_a_group_by_one_of_them(tmp_path: Path, world: World) -> None:
    encoder = encoder_of(tmp_path, name="a-long-name-of-item-")
    names = learn_groups(world.config, encoder, kindred(encoder), "m").names
    assert names[0] == "items like a-long-name-of-item-0"


@pytest.mark.parametrize("items", [0, 1, 2])
def test_few_items_are_few_groups(tmp_path: Path, world: World, items: int) -> None:
    encoder = encoder_of(tmp_path, items)
    learned = learn_groups(world.config, encoder, kindred(encoder), "m")
    assert len(learned.groups) == items == len(learned.names)


def test_equal_vectors_are_one_group(tmp_path: Path, world: World) -> None:
    encoder = encoder_of(tmp_path)
    model = ESMM(encoder.sizes, 0, 6, [4])
    torch.nn.init.ones_(model.representation.table.weight)
    assert learn_groups(world.config, encoder, model, "m").groups.tolist() == [0] * ITEMS


def test_a_model_that_knows_no_kindred_items_has_one_group_of_all(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = encoder_of(tmp_path)
    monkeypatch.setattr(ESMM, "field_vectors", Recommender.field_vectors)
    learned = learn_groups(world.config, encoder, ESMM(encoder.sizes, 0, 6, [4]), "m")
    assert learned.names == ("all items",)
    assert learned.groups.tolist() == [0] * ITEMS


def test_what_is_saved_is_loaded_and_belongs_to_its_backbone(tmp_path: Path, world: World) -> None:
    encoder = encoder_of(tmp_path)
    learned = learn_groups(world.config, encoder, kindred(encoder), "m")
    save_groups(tmp_path, learned)
    first = (tmp_path / FILE).read_bytes()
    save_groups(tmp_path, learn_groups(world.config, encoder, kindred(encoder), "m"))
    assert (tmp_path / FILE).read_bytes() == first
    loaded = load_groups(tmp_path, encoder, "m")
    assert np.array_equal(loaded.groups, learned.groups) and loaded.names == learned.names
    with pytest.raises(BackboneError, match=r"of another backbone; run driftune pretrain"):
        load_groups(tmp_path, encoder, "another")


def test_missing_or_damaged_groups_are_one_line(tmp_path: Path) -> None:
    encoder = encoder_of(tmp_path)
    with pytest.raises(BackboneError, match=r"no groups of items yet; run driftune pretrain"):
        load_groups(tmp_path, encoder, "m")
    save_groups(tmp_path, ItemGroups(np.zeros(ITEMS, dtype=np.int64), ("all",), "m"))
    text = (tmp_path / FILE).read_text()
    (tmp_path / FILE).write_text(text.replace('"all"', '"any"'))
    with pytest.raises(BackboneError, match=r"damaged .*; run driftune pretrain"):
        load_groups(tmp_path, encoder, "m")
    write_json(tmp_path / FILE, {"backbone": "m", "groups": "x", "names": []})
    with pytest.raises(BackboneError, match=r"damaged .*; run driftune pretrain"):
        load_groups(tmp_path, encoder, "m")


def test_a_vocabulary_of_another_size_is_of_another_backbone(tmp_path: Path) -> None:
    encoder = encoder_of(tmp_path)
    save_groups(tmp_path, ItemGroups(np.zeros(ITEMS, dtype=np.int64), ("all",), "m"))
    with pytest.raises(BackboneError, match="of another backbone"):
        load_groups(tmp_path, replace(encoder, sizes=(BUCKETS + 1,)), "m")


def test_groups_fall_into_the_cells_of_categories() -> None:
    cells = group_cells(np.array([0, 1, MOST + 5]), 2)
    assert cells.tolist() == [NONE, NEW, NEW, FIRST, FIRST + 1, FIRST + MOST]
