"""Decisions of many domains are written as those of one: once, after what came before."""

import time
from typing import Any

import pytest

from driftune.registry import deciding
from driftune.registry.deciding import decide_many
from driftune.registry.ledger import Ledger
from driftune.registry.records.decision import NewDecision
from tests.records import as_records
from tests.registry.conftest import BACKBONE, Decide

DAY = "2026-03-10"


def made(number: int, state: str = "stable", **more: Any) -> NewDecision:
    """The decision of a domain."""
    values = {
        "id": f"{DAY}.domain-{number}.r1.bbbbbbbb",
        "domain": f"domain {number}",
        "domain_key": f"domain-{number}",
        "day": DAY,
        "revision": 1,
        "backbone": BACKBONE,
        "state": state,
        "score": number / 10,
        "scores": {"rule": "no evidence"},
        "sentence": "Nothing moved beyond the usual.",
        "data_version": "v1",
        "champion_version": 0,
        **more,
    }
    return as_records(values)  # type: ignore[return-value]


def rows(ledger: Ledger) -> list[dict[str, Any]]:
    """What the ledger holds, without times."""
    found = [{**vars(row)} for row in ledger.decisions()]
    return [
        {name: value for name, value in row.items() if not name.endswith("_at")} for row in found
    ]


def test_many_are_written_as_each_alone(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deciding, "AT_ONCE", 3)
    states = ["stable", "error", "pending", "watched", "insufficient", "stable", "review", "stable"]
    many = [made(number, state) for number, state in enumerate(states)]
    decide_many(ledger, many)
    together = rows(ledger)
    assert [row["state"] for row in together] == states
    with ledger.write() as connection:
        connection.execute(deciding.decisions.delete())
    for values in many:
        ledger.decide(**values)
    assert rows(ledger) == together


def test_what_stands_stays_unless_it_ended_in_an_error(ledger: Ledger) -> None:
    decide_many(ledger, [made(1, score=0.5), made(2, "error", score=None)])
    decide_many(ledger, [made(1, score=0.7), made(2, score=0.7), made(3, score=0.7)])
    found = {row.domain_key: (row.state, row.score) for row in ledger.decisions()}
    assert found == {
        "domain-1": ("stable", 0.5),
        "domain-2": ("stable", 0.7),
        "domain-3": ("stable", 0.7),
    }


def test_a_decision_is_later_than_what_happened_to_its_domain(
    ledger: Ledger, decide: Decide
) -> None:
    ahead = time.time() + 3600
    decide(day=DAY, key="domain-1", state="stable", decided_at=ahead)
    decide_many(ledger, [made(1, id=f"{DAY}.domain-1.r2.bbbbbbbb", revision=2), made(2)])
    at = {row.id: row.decided_at for row in ledger.decisions()}
    assert at[f"{DAY}.domain-1.r2.bbbbbbbb"] > ahead > at[f"{DAY}.domain-2.r1.bbbbbbbb"]
