"""What earlier challengers gained at their first look that was judged."""

from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa

from driftune.registry import past_gains
from driftune.registry.ledger import Ledger
from driftune.registry.past_gains import first_looks
from driftune.registry.schema import decisions
from tests.registry.conftest import BACKBONE, Decide

DAY = date(2026, 3, 12)
TOO_LITTLE = {"estimate": 0.02, "low": 0.0, "high": 0.04, "confidence": None}


def look(
    estimate: float, error: float, confidence: float = 0.95, day: str = "2026-03-11"
) -> dict[str, Any]:
    """A judged look whose interval is that of a standard error."""
    reach = {0.95: 1.959964, 0.99: 2.575829}[confidence] * error
    return {"estimate": estimate, "low": estimate - reach, "high": estimate + reach,
            "confidence": confidence, "day": day}  # fmt: skip


def judged(
    ledger: Ledger, decision: str, *looks: dict[str, Any], metric: str = "ctr_auc", weak: Any = None
) -> None:
    with ledger.engine.begin() as connection:
        report = {"metric": metric, "looks": list(looks), "weak": weak, "version": 1}
        of = sa.update(decisions).where(decisions.c.id == decision)
        connection.execute(of.values(gate=report))


def found(ledger: Ledger) -> list[tuple[float, float]]:
    return [(each.gain, each.error) for each in first_looks(ledger, BACKBONE, DAY, "ctr_auc")]


def test_the_first_judged_look_of_each_day_before_newest_first(
    ledger: Ledger, decide: Decide
) -> None:
    judged(ledger, decide("2026-03-10"), TOO_LITTLE, look(0.004, 0.002, 0.99), look(0.009, 0.001))
    judged(ledger, decide("2026-03-11"), look(-0.001, 0.003))
    assert found(ledger) == [
        pytest.approx((-0.001, 0.003), rel=1e-5),
        pytest.approx((0.004, 0.002), rel=1e-5),
    ]


def test_what_says_nothing_of_a_gain_is_left_out(ledger: Ledger, decide: Decide) -> None:
    judged(ledger, decide("2026-03-12"), look(0.004, 0.002))
    judged(ledger, decide("2026-03-11", backbone="c" * 64), look(0.004, 0.002))
    judged(ledger, decide("2026-03-10"), look(0.004, 0.002), metric="ctcvr_auc")
    judged(ledger, decide("2026-03-09"), TOO_LITTLE)
    decide("2026-03-08")
    weak = {"champion": "ranks no better than chance", "challenger": None}
    judged(ledger, decide("2026-03-07"), look(0.004, 0.002), weak=weak)
    # A challenger that waited for data is judged late: who was judged meanwhile did not know it.
    judged(ledger, decide("2026-03-06"), TOO_LITTLE, look(0.03, 0.002, day="2026-03-12"))
    assert found(ledger) == []


@pytest.mark.parametrize(
    "text", ['{"metric": "ctr_auc", "looks": [', '{"metric": "ctr_auc", "looks": ["x"]}', "[]"]
)
def test_a_damaged_report_hides_no_other(ledger: Ledger, decide: Decide, text: str) -> None:
    judged(ledger, decide("2026-03-10"), look(0.004, 0.002))
    of = decide("2026-03-09")
    if ledger.engine.dialect.name == "postgresql" and not text.endswith(("}", "]")):
        pytest.skip("PostgreSQL keeps no text that is no JSON")
    with ledger.engine.begin() as connection:
        connection.execute(
            sa.text("UPDATE decisions SET gate = :text WHERE id = :id"), {"text": text, "id": of}
        )
    assert [gain for gain, _ in found(ledger)] == pytest.approx([0.004])


def test_no_more_than_the_newest_count(
    ledger: Ledger, decide: Decide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past_gains, "MOST", 2)
    for number in range(4):
        judged(ledger, decide(f"2026-03-0{number + 1}"), look(0.001 * number, 0.002))
    assert [gain for gain, _ in found(ledger)] == pytest.approx([0.003, 0.002])
