"""Weak champions: the mark belongs to the version that serves, from the newest gate on it."""

from typing import Any

import pytest
import sqlalchemy as sa

from driftune.registry.ledger import Ledger
from driftune.registry.records import GateReport
from driftune.registry.rows import Switch
from driftune.registry.status import domain_status
from driftune.registry.weak_champions import weak_champions
from tests.records import as_records
from tests.registry.conftest import BACKBONE, KEY

DOMAIN = "home"


def judged(ledger: Ledger, day: str, state: str, served: int, **values: Any) -> str:
    row, _ = ledger.decide(
        **as_records(
            {
                "id": f"{day}.{KEY}.r1",
                "domain": DOMAIN,
                "domain_key": KEY,
                "day": day,
                "revision": 1,
                "backbone": BACKBONE,
                "state": state,
                "score": 1.2,
                "scores": {},
                "sentence": "Moved.",
                "data_version": "v",
                "champion_version": served,
                **values,
            }
        )
    )
    return row.id


def switch(ledger: Ledger, before: int, after: int) -> None:
    with ledger.write() as connection:
        told = {"decision_id": None, "who": "t", "reason": "t"}
        ledger.switch(connection, Switch(KEY, DOMAIN, "promote", before, after, **told))


@pytest.fixture
def weak() -> dict[str, Any]:
    return {"champion": "ranks clicks worse than chance (CTR-AUC 0.480)", "challenger": None}


def test_a_base_below_chance_is_marked_until_another_serves(
    ledger: Ledger, weak: dict[str, Any]
) -> None:
    judged(ledger, "2026-03-05", "rejected", 0, gate={"champion_serves": 0, "weak": weak})
    told = weak_champions(ledger)[KEY]
    assert told.startswith("the frozen base ranks clicks worse than chance (CTR-AUC 0.480)")
    assert "2026-03-05" in told
    (row,) = domain_status(ledger)
    assert row["champion_weak"] == told
    switch(ledger, 0, 1)
    assert weak_champions(ledger) == {}


def test_a_challenger_that_was_promoted_although_it_is_weak_is_marked(ledger: Ledger) -> None:
    weak = {"champion": None, "challenger": "foresees clicks worse than the domain's rate"}
    gate = {"champion_serves": 0, "weak": weak}
    judged(ledger, "2026-03-05", "promoted", 0, gate=gate, adapter_version=1)
    assert weak_champions(ledger) == {}
    switch(ledger, 0, 1)
    assert weak_champions(ledger)[KEY].startswith("version 1 foresees clicks worse")


def test_a_newer_gate_that_finds_nothing_clears_it(ledger: Ledger, weak: dict[str, Any]) -> None:
    judged(ledger, "2026-03-05", "rejected", 0, gate={"champion_serves": 0, "weak": weak})
    judged(ledger, "2026-03-06", "rejected", 0, gate={"champion_serves": 0, "weak": {}})
    assert weak_champions(ledger) == {}


def test_reports_of_before_know_no_weak_side_and_no_log_loss(ledger: Ledger) -> None:
    judged(ledger, "2026-03-05", "rejected", 0, gate={"champion_serves": 0, "rules": []})
    assert weak_champions(ledger) == {}
    (row,) = ledger.decisions()
    assert row.gate is not None
    assert (row.gate.log_loss, row.gate.weak, row.gate.weaknesses()) == (None, None, [])


def test_both_sides_are_told_in_words(weak: dict[str, Any]) -> None:
    report = GateReport.model_validate({"weak": weak | {"challenger": "is worse"}})
    assert report.weaknesses() == [
        "The champion ranks clicks worse than chance (CTR-AUC 0.480)",
        "The challenger is worse",
    ]


def test_gates_of_another_backbone_judged_other_models(
    ledger: Ledger, weak: dict[str, Any]
) -> None:
    judged(ledger, "2026-03-05", "rejected", 0, gate={"champion_serves": 0, "weak": weak})
    assert KEY in weak_champions(ledger)
    judged(ledger, "2026-03-06", "stable", 0, backbone="c" * 64)
    assert weak_champions(ledger) == {}


def test_one_damaged_report_hides_no_other(ledger: Ledger, weak: dict[str, Any]) -> None:
    judged(ledger, "2026-03-05", "rejected", 0, gate={"champion_serves": 0, "weak": weak})
    bad = judged(ledger, "2026-03-06", "rejected", 0, gate={"champion_serves": 0, "weak": {}})
    with ledger.write() as connection:
        if connection.dialect.name == "postgresql":
            pytest.skip("PostgreSQL takes no damaged JSON")
        this = sa.text("UPDATE decisions SET gate = '{\"weak\": {' WHERE id = :id")
        connection.execute(this, {"id": bad})
    assert "2026-03-05" in weak_champions(ledger)[KEY]


@pytest.mark.parametrize("gate", ["null", '{"champion_serves": 0, "weak": null}'])
def test_what_judged_nothing_clears_no_mark(
    ledger: Ledger, weak: dict[str, Any], gate: str
) -> None:
    judged(ledger, "2026-03-05", "rejected", 0, gate={"champion_serves": 0, "weak": weak})
    later = judged(ledger, "2026-03-06", "pending", 0)
    with ledger.write() as connection:
        this = sa.text("UPDATE decisions SET gate = :gate WHERE id = :id")
        if connection.dialect.name == "postgresql":
            this = sa.text("UPDATE decisions SET gate = CAST(:gate AS JSON) WHERE id = :id")
        connection.execute(this, {"gate": gate, "id": later})
    assert "2026-03-05" in weak_champions(ledger)[KEY]
