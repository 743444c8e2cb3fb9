"""Decisions adapted together: as each would be alone, and no fault of one is another's."""

import hashlib
import pickle
from collections.abc import Callable, Sequence
from datetime import date
from itertools import permutations
from typing import TypeVar

import httpx
import pytest

from driftune.adaptation import held
from driftune.adaptation.adapt import adapt_together
from driftune.adaptation.finetune import finetune_together
from driftune.adaptation.groups import deal
from driftune.adaptation.steps import Steps
from driftune.adaptation.workbench import Workbench
from driftune.config.workspace import Workspace
from driftune.errors import DeviceFullError, LakeError, LedgerError
from driftune.project import Project
from driftune.registry.ledger import Ledger
from driftune.registry.records import GateReport
from tasks.adaptation import adapt_group, deal_decisions
from tests.adaptation.trainers import name_trainer, shell
from tests.conftest import World
from tests.crowning import DOMAIN, pending

pytestmark = pytest.mark.trains
T = TypeVar("T")


@pytest.fixture
def decisions(next_day_world: World, day: date) -> list[str]:
    """Decisions of all domains of the day."""
    with Ledger(next_day_world.config):
        names = sorted({DOMAIN, *_domains(next_day_world)})
    return [pending(next_day_world, day, domain=name) for name in names]


def _domains(world: World) -> list[str]:
    from driftune.lake.duck import connect
    from driftune.lake.table import Lake

    view = Lake.of(world.config)
    with connect(reach=[view.place]) as con:
        found = con.execute(f"SELECT DISTINCT domain FROM {view.relation([world.day(3)])}")
        return [name for (name,) in found.fetchall()]


def _trained(world: World, decisions: Sequence[str], workers: int = 1) -> dict[str, str]:
    """The adapters' bytes, as hashes, of decisions that are fine-tuned together."""
    with Project(world.config, mirrored=False) as project:
        benches = [Workbench(project, each) for each in decisions]
        found = finetune_together(benches, {}, workers)
    assert not [each for each in found.values() if isinstance(each, Exception)]
    made = {}
    for each in decisions:
        folder = Workspace(world.config).challenger(each)
        made[each] = hashlib.sha256((folder / "adapter.safetensors").read_bytes()).hexdigest()
    return made


def test_an_adapter_is_the_same_alone_in_pairs_and_in_any_order(
    next_day_world: World, decisions: list[str]
) -> None:
    assert len(decisions) > 1
    alone = {}
    for each in decisions:
        alone |= _trained(next_day_world, [each])
    for pair in permutations(decisions[:3], 2):
        assert _trained(next_day_world, pair) == {each: alone[each] for each in pair}
    assert _trained(next_day_world, decisions[::-1], workers=2) == alone


@pytest.mark.slow
@pytest.mark.ci
def test_a_fault_of_one_leaves_the_others_as_they_would_be(
    next_day_world: World, decisions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    few, others = decisions[0], decisions[1:]
    alone = _trained(next_day_world, others)
    split = Workbench.split.func

    def too_few(bench: Workbench) -> object:
        if bench.decision_id == few:
            raise LakeError("too few rows")
        return split(bench)

    monkeypatch.setattr(Workbench, "split", property(too_few))
    with Project(next_day_world.config, mirrored=False) as project:
        found = adapt_together(project, decisions)
        assert found.pop(few) == "failed"
        assert all(
            each in ("promoted", "rejected", "waiting", "undecided") for each in found.values()
        )
        for each in others:
            folder = project.workspace.challenger(each)
            made = (folder / "adapter.safetensors").read_bytes()
            assert hashlib.sha256(made).hexdigest() == alone[each]


@pytest.mark.slow
@pytest.mark.ci
def test_a_lost_claim_ends_its_own_training_and_no_other(
    next_day_world: World, decisions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = decisions[0]
    renew = Ledger.renew

    def stolen(self: Ledger, decision_id: str, owner: str) -> None:
        if decision_id == lost:
            raise LedgerError("another took it over")
        renew(self, decision_id, owner)

    monkeypatch.setattr(Ledger, "renew", stolen)
    monkeypatch.setattr(held, "EVERY_SECONDS", 0.0)
    with Project(next_day_world.config, mirrored=False) as project:
        found = adapt_together(project, decisions)
        assert found[lost] == "failed"
        assert not project.workspace.challenger(lost).exists()
    assert "failed" not in [found[each] for each in decisions[1:]]


@pytest.mark.slow
@pytest.mark.ci
def test_all_claims_of_a_group_are_kept_until_their_own_ends(
    next_day_world: World, decisions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "EVERY_SECONDS", 0.0)
    renewed: list[str] = []
    keep = Ledger.renew

    def renew(self: Ledger, decision_id: str, owner: str) -> None:
        renewed.append(decision_id)
        keep(self, decision_id, owner)

    monkeypatch.setattr(Ledger, "renew", renew)
    judged: list[tuple[str, set[str]]] = []

    class Noted(Steps):
        def judge(self, bench: Workbench) -> GateReport:
            judged.append((bench.decision_id, set(renewed)))
            renewed.clear()
            return super().judge(bench)

    with Project(next_day_world.config, mirrored=False) as project:
        adapt_together(project, decisions, Noted())
    assert [each for each, _ in judged] == decisions
    for number, (_, kept) in enumerate(judged):
        # What has ended before is kept no longer; what waits for its turn is.
        assert kept == set(decisions[number:])


@pytest.mark.slow
@pytest.mark.ci
def test_what_lacked_memory_among_others_is_tried_alone(
    next_day_world: World, decisions: list[str]
) -> None:
    sizes: list[int] = []

    class Small(Steps):
        def fine_tune(self, benches, renew):
            sizes.append(len(benches))
            if len(benches) > 1:
                full = DeviceFullError("cuda:0: its memory does not suffice")
                return {bench.decision_id: full for bench in benches}
            return super().fine_tune(benches, renew)

    with Project(next_day_world.config, mirrored=False) as project:
        found = adapt_together(project, decisions[:2], Small())
    assert sizes == [2, 1, 1]
    assert {found[each] for each in decisions[:2]} <= {"promoted", "rejected", "waiting"}


def test_an_outcome_can_be_read_by_another_process(
    next_day_world: World, decisions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    request = httpx.Request("GET", "http://127.0.0.1:1/api")
    error = httpx.HTTPStatusError(
        "500 Server Error", request=request, response=httpx.Response(500, request=request)
    )
    given = {"one": "promoted", "two": error, "three": LakeError("a day is gone")}
    monkeypatch.setattr("tasks.adaptation.adapt_together", lambda *_: given)
    found = adapt_group.fn(next_day_world.config, "all", dict.fromkeys(given, "home"), 1, {})
    read = pickle.loads(pickle.dumps(found))
    assert (read["one"], str(read["three"])) == ("promoted", "a day is gone")
    assert isinstance(read["three"], LakeError)
    assert str(read["two"]) == "HTTPStatusError: 500 Server Error"


@pytest.mark.slow
@pytest.mark.ci
def test_a_group_that_was_stopped_goes_on_in_another_group(
    next_day_world: World, decisions: list[str]
) -> None:
    alone = {}
    for each in decisions[:2]:
        alone |= _trained(next_day_world, [each])

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    epochs: list[int] = []
    with Project(next_day_world.config, mirrored=False) as project:
        benches = [Workbench(project, each) for each in decisions[:2]]
        with pytest.raises(KeyboardInterrupt):
            # The first has its checkpoint then, the second is still to write it.
            finetune_together(benches, {decisions[0]: stop})
        again = [Workbench(project, decisions[0])]
        finetune_together(again, {decisions[0]: lambda _, done, most: epochs.append(done)})
    assert epochs[0] == 2
    assert _trained(next_day_world, decisions[:2]) == alone


@pytest.mark.slow
@pytest.mark.ci
def test_a_job_of_one_s_own_gets_one_decision_after_the_other(
    next_day_world: World, decisions: list[str]
) -> None:
    world, (first, second) = next_day_world, decisions[:2]
    name_trainer(world, shell("exit 3"))
    begun: list[str] = []

    class Noted(Steps):
        def run(self, name: str, decision_id: str, call: Callable[[], T]) -> T:
            begun.append(decision_id)
            return super().run(name, decision_id, call)

    with Project(world.config, mirrored=False) as project:
        found = adapt_together(project, [first, second], Noted())
    assert found == {first: "failed", second: "failed"}
    # The second is claimed only when the first has ended: nobody would renew its claim.
    assert begun == sorted(begun, key=[first, second].index)
    groups = deal_decisions.fn(world.config, [first, second], 2, 1)
    assert groups == [[[first]], [[second]]]


def test_decisions_are_dealt_by_rows_and_within_a_bound() -> None:
    rows = {"a": 5, "b": 40, "c": 30, "d": 10, "e": 5}
    assert deal(rows, 2, 1000) == [[["b", "a"]], [["c", "d", "e"]]]
    assert deal(dict(reversed(rows.items())), 2, 1000) == deal(rows, 2, 1000)
    assert deal(rows, 1, 45) == [[["b"], ["c", "d", "a"], ["e"]]]
    for groups in deal(rows, 3, 20):
        assert all(sum(rows[each] for each in group) <= 20 or len(group) == 1 for group in groups)
    assert deal({}, 3, 20) == []
    assert deal(rows, 9, 0) == [[["b"]], [["c"]], [["d"]], [["a"]], [["e"]]]
