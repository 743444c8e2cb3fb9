"""Decisions that take another one's place: one at a time, and in one order on every database."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest

from driftune.config import Config
from driftune.config.marks import known_marks
from driftune.registry.decision_queries import decided_on, decisions_of_day
from driftune.registry.ledger import Ledger
from driftune.registry.records import Scores
from driftune.registry.records.decision import NewDecision
from driftune.registry.redeciding import AskedBy, redecided_of, replace_decision
from driftune.registry.schema import decisions
from driftune.registry.status import domain_status
from tests.registry.conftest import BACKBONE, KEY, Decide

DAY = "2026-03-10"


def values(decision_id: str) -> NewDecision:
    return {
        "id": decision_id,
        "domain": f"name of {KEY}",
        "domain_key": KEY,
        "day": DAY,
        "revision": 1,
        "backbone": BACKBONE,
        "state": "stable",
        "score": None,
        "scores": Scores(),
        "sentence": "Stable.",
        "data_version": "v",
        "champion_version": 0,
    }


@pytest.mark.few(1)
def test_of_several_at_once_one_replaces_and_its_note_stands(
    config: Config, ledger: Ledger, decide: Decide
) -> None:
    old = decide(state="rejected", note="the gate kept it")
    known = known_marks(config)

    def replace(who: str) -> str:
        with Ledger(config) as own:
            return replace_decision(own, old, AskedBy(who, ""), values(f"{old}.2"), known).id

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(replace, ["ann", "ben", "cat", "dan"]))
    assert set(found) == {f"{old}.2"}
    (told,) = redecided_of(ledger, KEY)
    note = ledger.decision(old).note
    assert note is not None and note.startswith(f"decided again by {told['who']} on ")
    assert told["verdict"] == f"decided again as {old}.2 (was rejected)"


def test_the_newest_of_a_day_is_the_same_everywhere(ledger: Ledger, decide: Decide) -> None:
    first, second = decide(state="stable"), f"a.{KEY}"
    ledger.decide(**values(second))
    # PostgreSQL puts a row that changes behind the others.
    with ledger.write() as connection:
        this = decisions.update().where(decisions.c.id == first)
        connection.execute(this.values(note="touched"))
    (row,) = domain_status(ledger)
    assert row["decision"] == second
    assert [each.id for each in decided_on(ledger, [DAY])] == [first, second]
    assert decisions_of_day(ledger, date.fromisoformat(DAY))[-1].id == second
    # Decided at one moment, the id tells.
    with ledger.write() as connection:
        connection.execute(decisions.update().values(decided_at=1.0))
    (row,) = domain_status(ledger)
    assert row["decision"] == max(first, second)
    assert [each.id for each in decided_on(ledger, [DAY])] == sorted([first, second])
