"""An adaptation from claim to end: once, by one table of errors, each part loaded once."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, TypeVar

import pytest

from driftune.adaptation import held, workbench
from driftune.adaptation import steps as adaptation_steps
from driftune.adaptation.adapt import adapt, look_again
from driftune.adaptation.faults import FAULTS, End, fault_of
from driftune.adaptation.steps import Steps
from driftune.errors import (
    BackboneError,
    LakeDamageError,
    LakeError,
    LedgerBusyError,
    LedgerError,
    OvertakenError,
    RegistryError,
    TrainerError,
    TrainerStoppedError,
)
from driftune.project import Project
from driftune.registry.by_hand import BY_HAND, ask
from driftune.registry.claims import ATTEMPTS
from driftune.registry.ledger import Ledger
from driftune.training import pretrain as pretraining
from driftune.training.pretrain import pretrain
from tests.conftest import World
from tests.crowning import DOMAIN, crown, pending, random_adapter
from tests.marks import CI

T = TypeVar("T")


@pytest.fixture
def decision(next_day_world: World, day: date) -> str:
    """A decision that waits for its adaptation."""
    return pending(next_day_world, day)


def run(world: World, decision: str, steps: Steps | None = None) -> str:
    with Project(world.config, mirrored=False) as project:
        return adapt(project, decision, steps or Steps())


def row_of(world: World, decision: str) -> Any:
    with Ledger(world.config) as ledger:
        return ledger.decision(decision)


class Failing(Steps):
    """Steps whose gate fails, as often as there are errors."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = [*errors]

    def judge(self, bench: workbench.Workbench) -> dict[str, Any]:
        """Fail, or judge."""
        if self.errors:
            raise self.errors.pop(0)
        return super().judge(bench)


def test_a_decision_is_adapted_once(next_day_world: World, decision: str) -> None:
    first = run(next_day_world, decision)
    row = row_of(next_day_world, decision)
    assert first == row.state
    assert first in ("promoted", "rejected", "waiting")
    assert row.training.epochs > 0
    assert row.gate.looks
    assert run(next_day_world, decision) == first
    assert row_of(next_day_world, decision) == row


@pytest.mark.slow
@pytest.mark.ci
def test_a_stable_domain_is_adapted_when_a_person_asks(next_day_world: World, day: date) -> None:
    stable = pending(next_day_world, day, state="stable")
    assert run(next_day_world, stable) == "stable"
    with Ledger(next_day_world.config) as ledger:
        asked = ask(ledger, DOMAIN, "ann", "a new menu")
    assert asked.id == stable
    assert run(next_day_world, stable) in ("promoted", "rejected", "waiting")
    assert row_of(next_day_world, stable).scores.rule == BY_HAND


def test_one_run_adapts_while_another_finds_it_claimed(
    next_day_world: World, decision: str
) -> None:
    class Meanwhile(Steps):
        def judge(self, bench: workbench.Workbench) -> dict[str, Any]:
            assert run(next_day_world, decision) == "claimed"
            return super().judge(bench)

    assert run(next_day_world, decision, Meanwhile()) != "claimed"


def test_a_decision_that_is_not_in_the_ledger(next_day_world: World) -> None:
    with pytest.raises(LedgerError, match="'no such' is not in the ledger"):
        run(next_day_world, "no such")


@pytest.mark.parametrize(
    ("error", "adaptation", "look"),
    [
        (OvertakenError("older"), End.SUPERSEDE, End.SUPERSEDE),
        (RegistryError("the champion moved"), End.GIVE_BACK, End.GIVE_BACK),
        (LedgerBusyError("locked"), End.GIVE_BACK, End.GIVE_BACK),
        (LedgerError("no longer claimed"), End.FAIL, End.GIVE_BACK),
        (LakeError("too few rows"), End.FAIL, End.GIVE_BACK),
        (LakeDamageError("a file is missing"), End.GIVE_BACK, End.GIVE_BACK),
        (BackboneError("damaged"), End.GIVE_BACK, End.GIVE_BACK),
        (TrainerError("exit code 3"), End.FAIL, End.GIVE_BACK),
        (TrainerStoppedError("out of memory"), End.GIVE_BACK, End.GIVE_BACK),
        (OSError("the disk was away"), End.GIVE_BACK, End.GIVE_BACK),
        (MemoryError(), End.GIVE_BACK, End.GIVE_BACK),
    ],
)
def test_the_table_says_what_a_fault_leads_to(error: Exception, adaptation: End, look: End) -> None:
    found = fault_of(error)
    assert (found.adaptation, found.look) == (adaptation, look)
    assert FAULTS[-1].error is Exception


@pytest.mark.parametrize(
    ("error", "state", "note"),
    [
        (OvertakenError("older"), "superseded", "older"),
        (RegistryError("the champion moved"), "pending", "the champion moved"),
        pytest.param(LedgerBusyError("locked"), "pending", "locked", marks=CI),
        (LakeError("too few rows"), "failed", "too few rows"),
        pytest.param(
            RuntimeError("out of memory"), "pending", "RuntimeError('out of memory')", marks=CI
        ),
    ],
)
@pytest.mark.few(3)
def test_a_fault_ends_the_claim_as_the_table_says(
    next_day_world: World, decision: str, error: Exception, state: str, note: str
) -> None:
    if state == "pending":
        with pytest.raises(type(error)) as raised:
            run(next_day_world, decision, Failing(error))
        assert raised.value is error
    else:
        assert run(next_day_world, decision, Failing(error)) == state
    row = row_of(next_day_world, decision)
    assert (row.state, row.note, row.lease_until) == (state, note, None)
    with Ledger(next_day_world.config) as ledger:
        assert ledger.champions() == {}
    if state == "pending":
        assert run(next_day_world, decision) in ("promoted", "rejected", "waiting")


@pytest.mark.slow
@pytest.mark.ci
def test_what_never_ends_fails_in_the_end(next_day_world: World, decision: str) -> None:
    for _ in range(ATTEMPTS):
        with pytest.raises(RegistryError):
            run(next_day_world, decision, Failing(RegistryError("MLflow was away")))
    assert row_of(next_day_world, decision).state == "failed"
    assert run(next_day_world, decision) == "failed"


@pytest.mark.slow
@pytest.mark.ci
def test_a_decision_of_an_older_backbone_ends_as_superseded(
    next_day_world: World, decision: str
) -> None:
    text = next_day_world.params.read_text()
    next_day_world.params.write_text(text.replace("learning_rate: 0.002", "learning_rate: 0.003"))
    with Ledger(next_day_world.config) as ledger:
        pretrain(next_day_world.config, ledger)
    assert run(next_day_world, decision) == "superseded"
    row = row_of(next_day_world, decision)
    assert (row.note, row.lease_until) == (
        "the backbone was pre-trained anew after the decision",
        None,
    )
    with Ledger(next_day_world.config) as ledger:
        assert ledger.champions() == {}


@pytest.mark.slow
@pytest.mark.ci
def test_a_backbone_pre_trained_while_it_is_adapted_for_supersedes_it(
    next_day_world: World, decision: str
) -> None:
    class Pretrained(Steps):
        def judge(self, bench: workbench.Workbench) -> dict[str, Any]:
            text = next_day_world.params.read_text()
            changed = text.replace("learning_rate: 0.002", "learning_rate: 0.003")
            next_day_world.params.write_text(changed)
            with Ledger(next_day_world.config) as ledger:
                pretrain(next_day_world.config, ledger)
            return super().judge(bench)

    assert run(next_day_world, decision, Pretrained()) == "superseded"


@pytest.mark.slow
@pytest.mark.ci
def test_every_epoch_renews_the_claim_and_a_lost_one_ends_the_work(
    next_day_world: World, decision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewed = []
    renew = Ledger.renew

    def counted(self: Ledger, decision_id: str, owner: str) -> None:
        renewed.append(owner)
        renew(self, decision_id, owner)

    monkeypatch.setattr(Ledger, "renew", counted)
    monkeypatch.setattr(held, "EVERY_SECONDS", 0.0)

    class Stolen(Steps):
        def fine_tune(
            self, benches: Sequence[workbench.Workbench], renew: Callable[[str], None]
        ) -> Mapping[str, Any]:
            with Ledger(next_day_world.config) as other:
                other.release(decision, row_of(next_day_world, decision).owner, "x", final=False)
                assert other.claim(decision)
            return super().fine_tune(benches, renew)

    assert run(next_day_world, decision, Stolen()) == "claimed"
    # Before the training, and after its first epoch.
    assert len(renewed) == 2
    with Ledger(next_day_world.config) as ledger:
        ledger.release(decision, row_of(next_day_world, decision).owner, "x", final=False)
    run(next_day_world, decision)
    # The epoch that was whole when the claim was lost is not trained again.
    assert len(renewed) == 4
    assert row_of(next_day_world, decision).gate is not None


@pytest.mark.slow
@pytest.mark.ci
def test_a_step_that_is_tried_again_loads_nothing_again(
    next_day_world: World, day: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    crown(next_day_world, random_adapter(next_day_world), [next_day_world.day(2)])
    decision = pending(next_day_world, day)
    calls: list[str] = []

    def counting(module: Any, name: str) -> None:
        call = getattr(module, name)

        def counted(*arguments: Any, **named: Any) -> Any:
            calls.append(name)
            return call(*arguments, **named)

        monkeypatch.setattr(module, name, counted)

    counting(pretraining, "load_model")
    counting(workbench, "split_of_decision")
    counting(workbench, "champions_for")
    counting(workbench, "load_adapter")
    counting(adaptation_steps, "finetune_together")

    class Retrying(Failing):
        def run(self, name: str, decision_id: str, call: Callable[[], T]) -> T:
            try:
                return call()
            except OSError:
                return call()

    run(next_day_world, decision, Retrying(OSError("the disk was away")))
    assert sorted(calls) == [
        "champions_for", "finetune_together", "load_adapter", "load_model", "split_of_decision",
    ]  # fmt: skip


def test_a_look_at_what_does_not_wait_is_none(next_day_world: World, day: date) -> None:
    decision = pending(next_day_world, day)
    with Project(next_day_world.config) as project:
        assert look_again(project, decision, day) == "pending"
    assert row_of(next_day_world, decision).attempts == 0
