"""Pooled starts: made once for a day's decisions, from no row that a gate judges by."""

import hashlib
import os
import time
from collections.abc import Sequence
from datetime import date

import numpy as np
import pytest

from driftune.adaptation import pooled as pooled_starts
from driftune.adaptation.adapt import adapt_together
from driftune.adaptation.finetune import finetune_together
from driftune.adaptation.pooled_rows import pooled_rows
from driftune.adaptation.split import split_rows
from driftune.adaptation.workbench import Workbench
from driftune.config.workspace import Workspace
from driftune.lake.table import Lake
from driftune.models.adapters import NotFiniteError, load_adapter
from driftune.project import Project
from driftune.registry.ledger import Ledger
from driftune.registry.records import TrainingFigures
from driftune.retention.prune import prune
from driftune.training.pretrain import load_model
from tests.conftest import World
from tests.crowning import DOMAIN, pending

pytestmark = pytest.mark.trains
OTHER = "home · south"


@pytest.fixture
def pooled_world(next_day_world: World) -> World:
    """A world whose challengers start from the pooled adapter."""
    return World(next_day_world.root, adapter={"start": "pooled"})


@pytest.fixture
def decisions(pooled_world: World, day: date) -> list[str]:
    """Decisions of two domains of the day."""
    return [pending(pooled_world, day, domain=name) for name in (DOMAIN, OTHER)]


def trained(world: World, decisions: Sequence[str]) -> dict[str, tuple[str, TrainingFigures]]:
    """The hash of each adapter's bytes, and its figures, of decisions that train together."""
    with Project(world.config, mirrored=False) as project:
        found = finetune_together([Workbench(project, each) for each in decisions], {})
    made = {}
    for each, figures in found.items():
        assert isinstance(figures, TrainingFigures), figures
        file = Workspace(world.config).challenger(each) / "adapter.safetensors"
        made[each] = hashlib.sha256(file.read_bytes()).hexdigest(), figures
    return made


def files(world: World) -> dict[str, bytes]:
    """The pooled starts' tensors by their names."""
    found = Workspace(world.config).pooled.glob("*/adapter.safetensors")
    return {each.parent.name: each.read_bytes() for each in found}


def test_a_domain_becomes_the_same_alone_and_beside_others(
    pooled_world: World, decisions: list[str]
) -> None:
    together = trained(pooled_world, decisions)
    (kept,) = files(pooled_world).items()
    alone: dict[str, tuple[str, TrainingFigures]] = {}
    for each in decisions:
        for path in Workspace(pooled_world.config).pooled.glob("*/*"):
            path.unlink()
        alone |= trained(pooled_world, [each])
        assert files(pooled_world) == dict([kept])
    assert {each: sha256 for each, (sha256, _) in alone.items()} == {
        each: sha256 for each, (sha256, _) in together.items()
    }
    figures = [each for _, each in together.values()]
    folder = Workspace(pooled_world.config).pooled / kept[0]
    _, card = load_adapter(folder, backbone=None)
    assert [(each.pooled, each.start) for each in figures] == [(card.sha256, "pooled")] * 2


def test_the_best_start_is_recorded_and_the_default_has_none(
    next_day_world: World, day: date
) -> None:
    decision = pending(next_day_world, day)
    usual, figures = trained(next_day_world, [decision])[decision]
    assert (figures.pooled, figures.start) == (None, None)
    assert not Workspace(next_day_world.config).pooled.exists()
    best, chosen = trained(World(next_day_world.root, adapter={"start": "best"}), [decision])[
        decision
    ]
    _, pooled = trained(World(next_day_world.root, adapter={"start": "pooled"}), [decision])[
        decision
    ]
    assert chosen.pooled == pooled.pooled
    assert chosen.start in ("champion", "pooled")
    if chosen.start == "champion":
        assert best == usual


def test_no_row_that_a_gate_judges_by_or_that_selects_trains_the_pooled_start(
    pooled_world: World, day: date
) -> None:
    config = pooled_world.config
    encoder, _, _ = load_model(config)
    train, select = pooled_rows(config, encoder, Lake.of(config), day)
    keys = sorted(set(train.domain_key.tolist()))
    assert len(keys) > 1
    for key in keys:
        for since in (None, date.fromordinal(day.toordinal() - 3), day):
            own = split_rows(config, encoder, key, day, since)
            assert train.time[train.domain_key == key].max() < own.select.time.min()
            assert select.time[select.domain_key == key].max() < own.gate.time.min()
    fewer, _ = pooled_rows(config, encoder, Lake.of(config), day, most=len(train) // 3)
    assert 0.2 < len(fewer) / len(train) < 0.5
    assert np.isin(fewer.time, train.time).all()


def test_a_damaged_start_is_made_anew_and_a_model_that_overflows_has_none(
    pooled_world: World,
    decisions: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = trained(pooled_world, decisions[:1])
    kept = files(pooled_world)
    (folder,) = Workspace(pooled_world.config).pooled.glob("*/")
    (folder / "adapter.safetensors").write_bytes(b"broken")
    assert trained(pooled_world, decisions[:1])[decisions[0]][0] == first[decisions[0]][0]
    assert files(pooled_world) == kept

    def overflows(*_: object) -> None:
        raise NotFiniteError("NaN")

    (folder / "card.json").unlink()
    monkeypatch.setattr(pooled_starts, "_train", overflows)
    _, figures = trained(pooled_world, decisions[:1])[decisions[0]]
    assert (figures.pooled, figures.start, figures.started_from) == (None, None, 0)


def test_a_stopped_pooled_training_goes_on_and_claims_are_kept_meanwhile(
    pooled_world: World, decisions: list[str]
) -> None:
    told: list[int] = []

    def stop(label: str, done: int, total: int) -> None:
        told.append(done)
        if label == "training the pooled start" and len(told) > 2:
            raise KeyboardInterrupt

    with Project(pooled_world.config, mirrored=False) as project:
        benches = [Workbench(project, each) for each in decisions]
        with pytest.raises(KeyboardInterrupt):
            finetune_together(benches, dict.fromkeys(decisions, stop))
        staging = project.workspace.staging
        assert [each.name[:7] for each in staging.glob("pooled-*")] == ["pooled-"]
        assert not files(pooled_world)
    again = trained(pooled_world, decisions)
    assert not [*staging.glob("pooled-*")]
    for path in Workspace(pooled_world.config).pooled.glob("*/*"):
        path.unlink()
    whole = trained(pooled_world, decisions)
    assert {each: sha256 for each, (sha256, _) in again.items()} == {
        each: sha256 for each, (sha256, _) in whole.items()
    }


def test_decisions_end_as_usual_and_prune_drops_old_starts(
    pooled_world: World, decisions: list[str]
) -> None:
    with Project(pooled_world.config, mirrored=False) as project:
        found = adapt_together(project, decisions)
        assert set(found.values()) <= {"promoted", "rejected", "waiting"}
        training = project.ledger.decision(decisions[0]).training
        assert training is not None
        assert training.start == "pooled"
    (folder,) = Workspace(pooled_world.config).pooled.glob("*/")
    with Ledger(pooled_world.config) as ledger:
        prune(pooled_world.config, ledger)
        assert folder.exists()
        old = time.time() - 31 * 24 * 3600
        os.utime(folder, (old, old))
        prune(pooled_world.config, ledger)
    assert not folder.exists()


def test_places_and_start_are_chosen_by_folds_alike_alone_and_together(
    pooled_world: World, decisions: list[str]
) -> None:
    choices = [["click_tower.1", "convert_tower.1"], ["representation"]]
    chosen = {"start": "best", "at": choices, "folds": 2, "beta": [0.0], "epochs": 2}
    world = World(pooled_world.root, adapter=chosen)
    together = trained(world, decisions)
    assert len(files(world)) == len(choices)
    alone: dict[str, tuple[str, TrainingFigures]] = {}
    for each in decisions:
        alone |= trained(world, [each])
    assert {each: sha256 for each, (sha256, _) in alone.items()} == {
        each: sha256 for each, (sha256, _) in together.items()
    }
    for each, (_, figures) in together.items():
        adapter, _ = load_adapter(Workspace(world.config).challenger(each), backbone=None)
        assert figures.at == adapter.places
        assert [*adapter.places] in choices
        assert figures.pooled is not None
        assert figures.start in ("champion", "pooled")
