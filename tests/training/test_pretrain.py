"""Pre-training: equal bytes, honest metrics, and one line for whatever is missing or damaged."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from driftune.config.workspace import Workspace
from driftune.errors import BackboneError, SourceError
from driftune.io import read_json
from driftune.models.adapters import Adapter, AdapterBank, IAKConfig, IAKKernel
from driftune.models.backbone import trained_until
from driftune.registry.ledger import Ledger
from driftune.training.pretrain import (
    backbone_folder,
    encoder_folder,
    load_model,
    pretrain,
    reference_rows,
)
from driftune.training.scoring import score, score_clicks
from tests.conftest import REFERENCE_DAYS, World

pytestmark = pytest.mark.trains


def run(world: World, only: str | None = None) -> dict[str, object]:
    with Ledger(world.config) as ledger:
        return pretrain(world.config, ledger, only)


def test_equal_data_and_seed_give_equal_bytes(trained_world: World) -> None:
    folders = (encoder_folder(trained_world.config), backbone_folder(trained_world.config))
    files = [path for folder in folders for path in sorted(folder.iterdir())]
    before = [path.read_bytes() for path in files]
    for path in files:
        path.unlink()
    run(trained_world)
    assert [path.read_bytes() for path in files] == before


def test_metrics_are_those_of_the_newestreference_rows(trained_world: World) -> None:
    figures = run(trained_world, "evaluate")
    _, held_out = reference_rows(trained_world.config)
    _, model, _ = load_model(trained_world.config)
    p_click, p_ctcvr = score(model, held_out)
    train, _ = reference_rows(trained_world.config)
    assert len(train) + len(held_out) == 1200 * REFERENCE_DAYS
    for key in set(train.domain_key):
        own, kept = held_out.domain_key == key, train.domain_key == key
        assert own.sum() == pytest.approx(0.2 * (own.sum() + kept.sum()), abs=1)
        assert held_out.time[own].min() >= train.time[kept].max()
        until = trained_until(backbone_folder(trained_world.config)).of(key)
        assert until == train.time[kept].max() + 1
    assert figures["ctr_auc"] == pytest.approx(roc_auc_score(held_out.click, p_click))
    assert figures["ctcvr_auc"] == pytest.approx(roc_auc_score(held_out.convert, p_ctcvr))
    assert (p_ctcvr <= p_click).all()
    home = Workspace(trained_world.config).model
    assert read_json(home / "metrics.json") == figures
    table = list(csv.DictReader((home / "by_domain.csv").open()))
    assert sum(int(row["rows"]) for row in table) == len(held_out)


def test_a_mixed_batch_scores_as_domain_by_domain(trained_world: World) -> None:
    _, rows = reference_rows(trained_world.config)
    _, model, _ = load_model(trained_world.config)
    keys = sorted(set(rows.domain_key))
    width = model.representation.width
    adapters = {
        key: Adapter({"representation": IAKKernel(width, IAKConfig(4, 8, "replace"))})
        for key in keys[:2]
    }
    for adapter in adapters.values():
        torch.nn.init.normal_(adapter.at("representation").matched.weight)
    mixed, _ = score(model, rows, AdapterBank.from_adapters(adapters))
    base, _ = score(model, rows)
    for key in keys:
        there = rows.domain_key == key
        bank = AdapterBank.from_adapters({key: adapters[key]} if key in adapters else {})
        alone, _ = score(model, rows.take(there), bank)
        np.testing.assert_allclose(mixed[there], alone, rtol=1e-5, atol=1e-7)
        assert np.array_equal(mixed[there], base[there]) is (key not in adapters)
    assert np.array_equal(score_clicks(model, rows, AdapterBank.from_adapters(adapters)), mixed)
    assert np.array_equal(score_clicks(model, rows, AdapterBank.from_adapters({})), base)


def test_no_rows_have_no_scores(trained_world: World) -> None:
    _, rows = reference_rows(trained_world.config)
    _, model, _ = load_model(trained_world.config)
    p_click, p_ctcvr = score(model, rows.take(np.empty(0, dtype=np.int64)), AdapterBank())
    assert p_click.shape == p_ctcvr.shape == (0,)


def test_without_a_backbone_the_line_says_what_to_run(ingested_world: World) -> None:
    run(ingested_world, "encode")
    with pytest.raises(BackboneError, match="no backbone yet; run driftune pretrain"):
        load_model(ingested_world.config)


def test_without_an_encoder_the_line_says_what_to_run(ingested_world: World) -> None:
    with pytest.raises(BackboneError, match="run driftune pretrain"):
        load_model(ingested_world.config)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-3] ^= 0xFF
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize("damage", [flip, cut, lambda path: path.write_bytes(b"")])
@pytest.mark.parametrize("name", ["backbone.safetensors", "backbone.json"])
def test_a_damaged_backbone_is_one_line(trained_world: World, name: str, damage) -> None:
    damage(backbone_folder(trained_world.config) / name)
    with pytest.raises(BackboneError, match=r"run driftune pretrain") as error:
        load_model(trained_world.config)
    assert "\n" not in str(error.value)


def test_a_backbone_of_another_encoder_is_refused(trained_world: World) -> None:
    text = trained_world.params.read_text()
    trained_world.params.write_text(text.replace("min_count: 2", "min_count: 30"))
    run(trained_world, "encode")
    with pytest.raises(BackboneError, match="trained with another encoder"):
        load_model(trained_world.config)


def test_a_missing_reference_day_is_named(make_world) -> None:
    world = make_world()
    world.with_reference()
    missing = world.root / "logs" / f"{world.day(1)}.parquet"
    missing.unlink()
    with pytest.raises(SourceError, match=f"reference day {world.day(1)}") as error:
        run(world)
    assert missing.name in str(error.value)
