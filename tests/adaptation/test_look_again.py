"""Challengers that wait: judged again by later days' rows, once a day, by one run, until an end."""

import time
from collections.abc import Callable
from datetime import date
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

from driftune.adaptation.adapt import adapt, look_again
from driftune.adaptation.split import split_rows
from driftune.config.loading import load_config
from driftune.config.marks import settings_marks
from driftune.config.workspace import Workspace
from driftune.errors import RegistryError
from driftune.project import Project
from driftune.registry.ledger import Ledger
from driftune.registry.records import Scores
from driftune.registry.rows import Switch
from driftune.registry.schema import decisions
from driftune.registry.waiting import challengers, claim_look, looks_due
from driftune.training.pretrain import load_model, pretrain
from tests.conftest import World, impressions, made_once
from tests.crowning import DOMAIN, KEY, bring, pending, split_of
from tests.forks import kill_at
from tests.margins import assert_promoted_by_far
from tests.marks import CI


def settings(world: World, *changes: tuple[str, str]) -> None:
    """Change lines of params.yaml."""
    text = world.params.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    world.params.write_text(text)


def planned_by_them(world: World, decision: str) -> None:
    """Let the challenger's plan be of the settings as they are now."""
    with Ledger(world.config) as ledger, ledger.write() as connection:
        own = decisions.c.id == decision
        gate = connection.scalar(sa.select(decisions.c.gate).where(own))
        gate["plan"]["settings"] = settings_marks(world.config)
        connection.execute(decisions.update().where(own).values(gate=gate))


def coffee(day: date) -> pd.DataFrame:
    """A day on which the domain wants coffee and nothing else."""
    frame = impressions(day, 2400)
    there = frame["scene"] + " · " + frame["region"] == DOMAIN
    frame.loc[there, "click"] = (frame["category"] == "coffee").astype("int8")[there]
    frame.loc[there, "ordered"] = 0
    return frame


def adapted(world: World, day: date, number: int = 1) -> str:
    """A decision whose challenger was trained and judged once; returns its id."""
    decision = pending(world, day, number)
    config = world.config
    with Ledger(config) as ledger:
        adapt(Project(config, ledger), decision)
    return decision


@pytest.fixture(scope="session")
def _small(_trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "small-domain", wait, _trained)


@pytest.fixture
def small(_small: Path, tmp_path: Path) -> tuple[World, str]:
    """A domain that drifted, with too few rows for its challenger to be judged at once."""
    world = World.copied(_small, tmp_path / "small")
    with Ledger(world.config) as ledger:
        (decision,) = challengers(ledger)
    return world, decision.id


def wait(folder: Path) -> None:
    """Adapt for a domain whose rows do not suffice for a verdict."""
    world = World(folder)
    settings(
        world,
        ("min_rows: 50", "min_rows: 400"),
        ("epochs: 2", "epochs: 30"),
        ("batch_size: 256", "batch_size: 32"),
        ("- 0.7", "- 0.2"),
        ("- 1.4", "- 5.0"),
    )
    adapted(world, bring(world, world.day(3), coffee(world.day(3))))


def row_of(world: World, decision: str) -> Any:
    with Ledger(world.config) as ledger:
        return ledger.decision(decision)


def again(world: World, decision: str, day: date) -> str:
    with Ledger(world.config) as ledger:
        return look_again(Project(world.config, ledger, mirrored=False), decision, day)


@pytest.mark.trains
def test_a_small_domain_s_challenger_waits_and_is_promoted_when_its_rows_suffice(
    small: tuple[World, str],
) -> None:
    world, decision = small
    first = row_of(world, decision)
    assert (first.state, first.gate.waits_for) == ("waiting", "data")
    assert [look.confidence for look in first.gate.looks] == [None]
    day = bring(world, world.day(4), coffee(world.day(4)))
    assert again(world, decision, day) == "promoted"
    row = row_of(world, decision)
    looks = row.gate.looks
    assert [look.verdict for look in looks] == ["wait", "promote"]
    assert looks[1].rows == looks[0].rows + split_of(world, day).day_rows
    assert row.gate.champion.rows == row.gate.challenger.rows == looks[1].rows
    assert row.gate.difference.low == looks[1].low > 0
    assert looks[1].spent < row.gate.plan.error == pytest.approx(0.05)
    assert_promoted_by_far(row.gate, world.config)
    with Ledger(world.config) as ledger:
        assert ledger.champion_version(KEY) == 1


@pytest.mark.slow
@pytest.mark.ci
def test_a_day_is_looked_at_once(small: tuple[World, str]) -> None:
    world, decision = small
    before = row_of(world, decision)
    assert again(world, decision, date.fromisoformat(before.day)) == "waiting"
    assert row_of(world, decision) == before
    settings(world, ("min_rows: 400", "min_rows: 4000"))
    planned_by_them(world, decision)
    day = bring(world, world.day(4), coffee(world.day(4)))
    with Ledger(world.config) as ledger:
        assert looks_due(ledger, day) == [decision]
    assert again(world, decision, day) == "waiting"
    looked = row_of(world, decision)
    assert len(looked.gate.looks) == 2
    assert again(world, decision, day) == "waiting"
    assert row_of(world, decision) == looked
    with Ledger(world.config) as ledger:
        assert looks_due(ledger, day) == []


def test_one_run_has_a_look_and_a_lost_one_is_taken_over(small: tuple[World, str]) -> None:
    world, decision = small
    day = bring(world, world.day(4), coffee(world.day(4)))
    with Ledger(world.config) as ledger:
        ledger.lease_seconds = -1
        lost = claim_look(ledger, decision, day)
        ledger.lease_seconds = 60
        owner = claim_look(ledger, decision, day)
        assert lost and owner and lost != owner
        assert claim_look(ledger, decision, day) is None
        assert look_again(Project(world.config, ledger, mirrored=False), decision, day) == "waiting"
        assert ledger.claim(decision) is None
        assert ledger.release(decision, owner, "away", final=False) == "waiting"
    assert again(world, decision, day) == "promoted"


def look(params: str, decision: str, day: date) -> None:
    with Project(load_config(params, env={})) as project:
        look_again(project, decision, day)


@pytest.mark.slow
@pytest.mark.ci
def test_the_look_of_a_killed_process_is_taken_again_and_counts_once(
    small: tuple[World, str], forks: ForkServerContext
) -> None:
    world, decision = small
    day = bring(world, world.day(4), coffee(world.day(4)))
    at = "driftune.adaptation.adapt:conclude"
    kill_at(forks, at, look, str(world.params), decision, day)
    left = row_of(world, decision)
    assert (left.state, len(left.gate.looks)) == ("waiting", 1)
    assert left.lease_until > time.time()
    assert again(world, decision, day) == "promoted"
    ended = row_of(world, decision)
    assert len(ended.gate.looks) == 2
    assert again(world, decision, day) == "promoted"
    assert row_of(world, decision) == ended
    with Ledger(world.config) as ledger:
        assert len(ledger.switches(KEY)) == len(ledger.versions(KEY)) == 1


@pytest.mark.slow
@pytest.mark.ci
def test_looks_end(small: tuple[World, str]) -> None:
    world, decision = small
    settings(world, ("min_rows: 400", "min_rows: 4000"), ("looks: 5", "looks: 3"))
    planned_by_them(world, decision)
    states = []
    for number in (4, 5):
        day = bring(world, world.day(number), coffee(world.day(number)))
        states.append(again(world, decision, day))
    assert states == ["waiting", "undecided"]


@pytest.mark.slow
@pytest.mark.ci
def test_days_without_rows_of_the_domain_count_as_looks_and_spend_nothing(
    small: tuple[World, str],
) -> None:
    world, decision = small
    settings(world, ("looks: 5", "looks: 3"))
    planned_by_them(world, decision)
    states = []
    for number in (4, 5):
        frame = impressions(world.day(number), 1200)
        frame = frame[(frame["scene"] != "home") | (frame["region"] != "north")]
        states.append(again(world, decision, bring(world, world.day(number), frame)))
    assert states == ["waiting", "undecided"]
    assert [look.spent for look in row_of(world, decision).gate.looks] == [0.0] * 3


def new_backbone(world: World, day: date) -> None:
    settings(world, ("learning_rate: 0.002", "learning_rate: 0.003"))
    with Ledger(world.config) as ledger:
        pretrain(world.config, ledger)


def redeliver(world: World, day: date) -> None:
    bring(world, day, coffee(day).iloc[:-30])


def newer(world: World, day: date) -> None:
    pending(world, bring(world, world.day(4)), number=1)


def other_gate(world: World, day: date) -> None:
    settings(world, ("confidence: 0.95", "confidence: 0.9"))


def other_seed(world: World, day: date) -> None:
    settings(world, ("seed: 7", "seed: 8"))


def other_zone(world: World, day: date) -> None:
    settings(world, ("timezone: UTC", "timezone: Europe/Lisbon"))


def other_drift(world: World, day: date) -> None:
    settings(world, ("alpha: 0.001", "alpha: 0.01"))


def other_adapter(world: World, day: date) -> None:
    settings(world, ("bottleneck: 4", "bottleneck: 5"))


def switched(world: World, day: date) -> None:
    with Ledger(world.config) as ledger, ledger.write() as connection:
        ledger.switch(
            connection,
            Switch(
                key=KEY,
                domain=DOMAIN,
                action="promote",
                expected=0,
                version=1,
                decision_id=None,
                who="the test",
                reason="planted",
            ),
        )


@pytest.mark.parametrize(
    ("happens", "note"),
    [
        (redeliver, "was delivered anew"),
        pytest.param(newer, "of the domain is newer", marks=CI),
        (other_gate, "gate of params.yaml changed after the challenger was first judged"),
        pytest.param(other_seed, "seed of params.yaml changed", marks=CI),
        pytest.param(other_zone, "timezone of params.yaml changed", marks=CI),
        pytest.param(other_drift, "drift of params.yaml changed", marks=CI),
        pytest.param(other_adapter, "adapter of params.yaml changed", marks=CI),
        (switched, "the champion was switched"),
        pytest.param(new_backbone, "the backbone was pre-trained anew", marks=CI),
        pytest.param(
            lambda world, _: redeliver(world, world.day(2)),
            "delivered after they were judged",
            marks=CI,
        ),
    ],
)
@pytest.mark.slow
@pytest.mark.ci
def test_what_overtakes_a_waiting_challenger_ends_it(
    small: tuple[World, str], happens: Callable[[World, date], None], note: str
) -> None:
    world, decision = small
    happens(world, world.day(3))
    day = bring(world, world.day(5), coffee(world.day(5)))
    assert again(world, decision, day) == "superseded"
    ended = row_of(world, decision)
    assert note in ended.note
    assert "\n" not in ended.note
    with Ledger(world.config) as ledger:
        assert ledger.champion_version(KEY) == (1 if happens is switched else 0)


@pytest.mark.slow
@pytest.mark.ci
def test_a_look_that_fails_is_given_back_and_tried_again(small: tuple[World, str]) -> None:
    world, decision = small
    day = bring(world, world.day(4), coffee(world.day(4)))
    card = Workspace(world.config).challenger(decision) / "card.json"
    text = card.read_text()
    card.unlink()
    with pytest.raises(RegistryError, match="cannot be judged"):
        again(world, decision, day)
    assert row_of(world, decision).state == "waiting"
    card.write_text(text)
    assert again(world, decision, day) == "promoted"


@pytest.mark.slow
@pytest.mark.ci
def test_a_day_s_decisions_share_the_error_in_whatever_order_they_are_judged(
    trained_world: World,
) -> None:
    day = bring(trained_world, trained_world.day(3), coffee(trained_world.day(3)))
    _, _, backbone = load_model(trained_world.config)
    others = {"a": "pending", "b": "rejected", "c": "stable", "d": "waiting", "e": "watched"}
    with Ledger(trained_world.config) as ledger:
        for key, state in others.items():
            ledger.decide(
                id=key, domain=key, domain_key=key, day=str(day), revision=1, backbone=backbone,
                state=state, score=1.0, scores=Scores(), sentence="", data_version="v",
                champion_version=0,
            )  # fmt: skip
    decision = adapted(trained_world, day)
    planned = row_of(trained_world, decision).gate.plan
    assert planned.decisions == 4
    assert planned.error == pytest.approx(0.05 / 4)
    encoder, _, _ = load_model(trained_world.config)
    split = split_rows(trained_world.config, encoder, KEY, day)
    assert planned.rows == len(split.gate) + 4 * split.day_rows
