"""Fine-tuning and its challenge: equal bytes, where training starts, what stops it."""

import shutil
from contextlib import nullcontext
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from driftune.adaptation.challenge import challenge
from driftune.adaptation.claim import Claim
from driftune.adaptation.conclude import conclude
from driftune.adaptation.finetune import finetune
from driftune.config.workspace import Workspace
from driftune.errors import OvertakenError, RegistryError
from driftune.features.days import encode_day
from driftune.intake.ingest import ingest
from driftune.models.adapters import fingerprint, load_adapter, save_adapter
from driftune.project import Project
from driftune.registry.ledger import Ledger
from driftune.registry.records import GateReport
from driftune.training.pretrain import load_model, pretrain
from driftune.training.rows import load_rows
from tests.conftest import World, impressions
from tests.crowning import bench, pending, split_of, train

pytestmark = pytest.mark.trains


def test_equal_input_gives_equal_bytes_and_the_seed_matters(
    next_day_world: World, day: date
) -> None:
    decision = pending(next_day_world, day)
    first = train(next_day_world, decision)
    assert train(next_day_world, decision) == first
    _, model, backbone = load_model(next_day_world.config)
    assert fingerprint(model) == backbone
    text = next_day_world.params.read_text()
    next_day_world.params.write_text(text.replace("seed: 7", "seed: 8"))
    assert train(next_day_world, decision) != first


@pytest.mark.slow
@pytest.mark.ci
def test_a_decision_under_another_backbone_trains_nothing(next_day_world: World, day: date) -> None:
    decision = pending(next_day_world, day)
    config = next_day_world.config
    newer = config.model_copy(
        update={"backbone": config.backbone.model_copy(update={"epochs": 2})}
    ).read_from(next_day_world.params)
    with Ledger(newer) as ledger:
        pretrain(newer, ledger)
        for step in (finetune, challenge):
            with pytest.raises(OvertakenError, match="pre-trained anew"):
                step(bench(newer, ledger, decision))
    assert not Workspace(config).challenger(decision).exists()


def test_training_starts_from_the_champion_of_the_same_shape(
    next_day_world: World, day: date
) -> None:
    config = next_day_world.config
    first = pending(next_day_world, day)
    train(next_day_world, first)
    promote = GateReport(decision="promote", champion_version=0)
    with Ledger(config) as ledger:
        owner = ledger.claim(first)
        assert owner is not None
        conclude(Project(config, ledger), Claim(first, owner), None, promote)
        second = pending(next_day_world, day, number=2)
        assert finetune(bench(config, ledger, second)).started_from == 1
        text = next_day_world.params.read_text()
        next_day_world.params.write_text(text.replace("bottleneck: 4", "bottleneck: 5"))
        figures = finetune(bench(next_day_world.config, ledger, second))
    adapter, card = load_adapter(Workspace(config).challenger(second), backbone=None)
    assert [kernel.config.bottleneck for _, kernel in adapter.items()] == [5, 5]
    assert card["training"]["split"] == figures.split.model_dump(by_alias=True)


@pytest.mark.slow
@pytest.mark.ci
def test_champion_and_challenger_are_scored_on_the_same_rows(
    next_day_world: World, day: date
) -> None:
    decision = pending(next_day_world, day)
    train(next_day_world, decision)
    with Ledger(next_day_world.config) as ledger:
        report = challenge(bench(next_day_world.config, ledger, decision))
    split = split_of(next_day_world, day)
    assert report.split.gate == split.spans().gate
    assert report.champion.rows == report.challenger.rows == len(split.gate)
    assert (report.champion_version, report.champion_serves) == (0, 0)


def test_a_challenger_equal_to_its_champion_is_not_promoted(
    next_day_world: World, day: date
) -> None:
    decision = pending(next_day_world, day)
    train(next_day_world, decision)
    folder = Workspace(next_day_world.config).challenger(decision)
    adapter, card = load_adapter(folder, backbone=None)
    for _, kernel in adapter.items():
        for tensor in (kernel.general.weight, kernel.matched.weight, kernel.matched.bias):
            tensor.data.zero_()
    save_adapter(folder, adapter, {name: card[name] for name in ("backbone", "lake")})
    with Ledger(next_day_world.config) as ledger:
        report = challenge(bench(next_day_world.config, ledger, decision))
    assert report.difference.estimate == 0
    assert report.decision != "promote"


@pytest.mark.slow
@pytest.mark.ci
def test_a_damaged_challenger_cannot_be_judged(next_day_world: World, day: date) -> None:
    decision = pending(next_day_world, day)
    train(next_day_world, decision)
    (Workspace(next_day_world.config).challenger(decision) / "card.json").unlink()
    with (
        Ledger(next_day_world.config) as ledger,
        pytest.raises(RegistryError, match=r"cannot be judged: .*card\.json is missing"),
    ):
        challenge(bench(next_day_world.config, ledger, decision))


def test_rows_come_in_time_order_whatever_the_files_order(next_day_world: World, day: date) -> None:
    encoder, _, _ = load_model(next_day_world.config)
    days = [next_day_world.day(n) for n in range(4)]
    files = [encode_day(next_day_world.config, encoder, each) for each in days]
    rows, reversed_rows = load_rows(encoder, files), load_rows(encoder, files[::-1])
    assert (np.diff(rows.time) >= 0).all()
    assert np.array_equal(rows.ids, reversed_rows.ids)
    assert len(rows) == 3 * 1200 + 2400


@pytest.mark.slow
@pytest.mark.ci
def test_a_day_delivered_anew_during_training_is_not_what_the_challenger_was_trained_on(
    next_day_world: World, day: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    decision = pending(next_day_world, day)
    before = split_of(next_day_world, day).lake

    def redelivered(step: str, done: int, total: int) -> None:
        next_day_world.write(day, impressions(day, 2400, seed=done + 1))
        with Ledger(next_day_world.config) as ledger:
            ingest(next_day_world.config, ledger, day)

    with Ledger(next_day_world.config) as ledger:
        finetune(bench(next_day_world.config, ledger, decision), redelivered)
        _, card = load_adapter(Workspace(next_day_world.config).challenger(decision), backbone=None)
        assert card["lake"] == before
        with pytest.raises(RegistryError, match=r"the lake changed since .* adapt again"):
            challenge(bench(next_day_world.config, ledger, decision))


def test_a_training_that_was_stopped_goes_on(
    next_day_world: World, day: date, tmp_path: Path
) -> None:
    decision = pending(next_day_world, day)
    folder = Workspace(next_day_world.config).challenger(decision)
    calls: list[list[int]] = []

    def note(step: str, done: int, total: int) -> None:
        calls[-1].append(done)
        if len(calls) == 2:
            raise KeyboardInterrupt

    made = []
    with Ledger(next_day_world.config) as ledger:
        for number in range(3):
            calls.append([])
            with pytest.raises(KeyboardInterrupt) if number == 1 else nullcontext():
                finetune(bench(next_day_world.config, ledger, decision), note)
                made.append((folder / "adapter.safetensors").read_bytes())
                shutil.rmtree(folder)
    assert calls[0] == calls[1] + calls[2]
    assert made[0] == made[1]
    assert list(Workspace(next_day_world.config).staging.iterdir()) == []
