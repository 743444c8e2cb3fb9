"""The challenge: champion and challenger of one domain, judged on the same newest rows."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from driftune.adaptation.challenge import challenge
from driftune.config.workspace import Workspace
from driftune.errors import LedgerError, RegistryError
from driftune.models.adapters import Adapter, load_adapter, save_adapter
from driftune.registry.ledger import Ledger
from driftune.registry.records import GateReport
from driftune.training.pretrain import load_model
from tests.conftest import World
from tests.crowning import KEY, bench, crown, pending, random_adapter, split_of, train
from tests.marks import CI


def judge(world: World, decision: str) -> dict:
    with Ledger(world.config) as ledger:
        return challenge(bench(world.config, ledger, decision))


def plant(world: World, decision: str, adapter: Adapter, **card: str) -> None:
    """Put an adapter in the place of the decision's challenger."""
    _, _, backbone = load_model(world.config)
    with Ledger(world.config) as ledger:
        day = date.fromisoformat(ledger.decision(decision).day)
    own = {"backbone": backbone, "lake": split_of(world, day).lake, **card}
    save_adapter(Workspace(world.config).challenger(decision), adapter, own)


def test_the_report_says_who_was_judged_on_what(next_day_world: World, day: date) -> None:
    decision = pending(next_day_world, day)
    train(next_day_world, decision)
    report = judge(next_day_world, decision)
    split = split_of(next_day_world, day)
    _, card = load_adapter(Workspace(next_day_world.config).challenger(decision), backbone=None)
    assert report.split == split.spans()
    assert report.challenger_sha256 == card["sha256"]
    assert (report.champion_version, report.champion_serves) == (0, 0)
    for side in ("champion", "challenger"):
        assert getattr(report, side).rows == len(split.gate)
        assert getattr(report, side).clicks == int(split.gate.click.sum())
    assert report.log_loss is not None and report.weak is not None
    assert report.log_loss.champion == pytest.approx(report.champion.ctr_log_loss)
    assert any(rule.name == "log loss" for rule in report.rules) == (
        report.decision != "insufficient"
    )
    text = json.dumps(report.document(), allow_nan=False)
    assert GateReport.parse(text, decision).document() == report.document()
    assert judge(next_day_world, decision) == report


@pytest.mark.slow
@pytest.mark.ci
def test_what_is_to_be_expected_is_held_against_challengers_of_days_before(
    next_day_world: World, day: date
) -> None:
    text = next_day_world.params.read_text(encoding="utf-8")
    assert "rule: interval" in text
    next_day_world.params.write_text(
        text.replace("rule: interval", "rule: expected_gain"), encoding="utf-8"
    )
    decision = pending(next_day_world, day)
    train(next_day_world, decision)
    report = judge(next_day_world, decision)
    assert report.plan is not None and report.plan.prior is not None
    assert (report.plan.prior.mean, report.plan.prior.challengers) == (0.0, 0)
    assert report.posterior is not None and report.posterior.mean == report.gain
    assert abs(report.gain) < abs(report.difference.estimate)
    assert [look.spent for look in report.looks] == [0.0]
    text = json.dumps(report.document(), allow_nan=False)
    assert GateReport.parse(text, decision).plan.prior == report.plan.prior


def test_a_challenger_that_changes_nothing_is_not_promoted(
    next_day_world: World, day: date
) -> None:
    decision = pending(next_day_world, day)
    adapter = random_adapter(next_day_world, combine="residual")
    kernel = adapter.at("representation")
    for tensor in (kernel.general.weight, kernel.matched.weight, kernel.matched.bias):
        tensor.data.zero_()
    plant(next_day_world, decision, adapter)
    report = judge(next_day_world, decision)
    assert report.champion == report.challenger
    assert report.difference.estimate == 0
    assert report.decision == "reject"


def test_a_challenger_equal_to_the_promoted_champion_is_not_promoted(
    next_day_world: World, day: date
) -> None:
    kernel = random_adapter(next_day_world)
    crown(next_day_world, kernel, [day])
    decision = pending(next_day_world, day, number=2)
    plant(next_day_world, decision, kernel, domain_key=KEY)
    report = judge(next_day_world, decision)
    assert (report.champion_version, report.champion_serves) == (1, 1)
    assert report.champion == report.challenger
    assert report.difference.estimate == 0
    assert report.decision == "reject"


@pytest.mark.slow
@pytest.mark.ci
def test_a_challenger_is_held_against_the_champion_and_not_against_the_base(
    next_day_world: World, day: date
) -> None:
    decision = pending(next_day_world, day)
    train(next_day_world, decision)
    against_base = judge(next_day_world, decision)
    crown(next_day_world, random_adapter(next_day_world), [day])
    against_champion = judge(next_day_world, decision)
    assert against_champion.challenger == against_base.challenger
    assert against_champion.champion != against_base.champion


@pytest.mark.slow
@pytest.mark.ci
def test_a_champion_whose_file_is_damaged_leaves_the_base_to_beat(
    next_day_world: World, day: date
) -> None:
    decision = pending(next_day_world, day)
    train(next_day_world, decision)
    against_base = judge(next_day_world, decision)
    crown(next_day_world, random_adapter(next_day_world), [day])
    (file,) = next_day_world.config.home.glob(f"**/{KEY}/00001-*/adapter.safetensors")
    truncate(file.parent)
    report = judge(next_day_world, decision)
    assert (report.champion_version, report.champion_serves) == (1, 0)
    assert report.champion == against_base.champion


def truncate(folder: Path) -> None:
    file = folder / "adapter.safetensors"
    file.write_bytes(file.read_bytes()[:-10])


def flip(folder: Path) -> None:
    file = folder / "adapter.safetensors"
    data = bytearray(file.read_bytes())
    data[-2] ^= 0x01
    file.write_bytes(data)


def no_card(folder: Path) -> None:
    (folder / "card.json").unlink()


def other_backbone(folder: Path) -> None:
    file = folder / "card.json"
    card = json.loads(file.read_text())
    file.write_text(json.dumps({**card, "backbone": "0" * 64}))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (truncate, "corrupted or truncated"),
        pytest.param(flip, "corrupted or truncated", marks=CI),
        pytest.param(no_card, r"card\.json is missing", marks=CI),
        (other_backbone, "made for backbone 000000000000"),
    ],
)
@pytest.mark.few(1)
def test_a_damaged_challenger_cannot_be_judged(
    next_day_world: World, day: date, damage: Callable[[Path], None], reason: str
) -> None:
    decision = pending(next_day_world, day)
    plant(next_day_world, decision, random_adapter(next_day_world))
    damage(Workspace(next_day_world.config).challenger(decision))
    with pytest.raises(RegistryError, match=f"cannot be judged: .*{reason}") as error:
        judge(next_day_world, decision)
    assert str(error.value).startswith(decision)
    assert "\n" not in str(error.value)


def test_a_decision_that_is_not_in_the_ledger(next_day_world: World) -> None:
    with pytest.raises(LedgerError, match="'no such' is not in the ledger"):
        judge(next_day_world, "no such")
