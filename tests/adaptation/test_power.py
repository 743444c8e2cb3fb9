"""Rows that a promotion needs: against simulated gates, and read from the lake."""

import json
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from driftune.adaptation.needs import gate_needs
from driftune.cli import app
from driftune.config.gate import Gate
from driftune.errors import LakeError
from driftune.evaluation.looks import plan, spend
from driftune.evaluation.metrics import auc
from driftune.evaluation.power import passing, row_variance, rows_needed
from driftune.registry.ledger import Ledger
from driftune.registry.records import GateReport, Scores
from driftune.registry.records.gate import Side
from tests.conftest import World
from tests.crowning import DOMAIN, KEY


def test_standard_error_is_that_of_simulated_scores():
    random = np.random.default_rng(2)
    rows, found, scores = 4000, [], []
    for _ in range(300):
        labels = random.random(rows) < 0.3
        shared = 0.85 * labels + random.normal(0, 1, rows) * np.sqrt(0.92)
        one, other = (shared + random.normal(0, 1, rows) * np.sqrt(0.08) for _ in range(2))
        found.append(auc(labels, other) - auc(labels, one))
        scores.append((auc(labels, one), np.corrcoef(one, other)[0, 1]))
    reach, correlation = np.mean(scores, axis=0)
    expected = (row_variance(reach, 0.3, correlation) / rows) ** 0.5
    assert np.std(found) == pytest.approx(expected, rel=0.12)


def test_more_rows_are_needed_for_less_gain_similarity_or_clicks():
    usual = rows_needed(0.005, 0.3, 0.94, confidence=0.95)
    assert usual is not None
    for harder in (
        rows_needed(0.003, 0.3, 0.94, confidence=0.95),
        rows_needed(0.005, 0.1, 0.94, confidence=0.95),
        rows_needed(0.005, 0.3, 0.80, confidence=0.95),
        rows_needed(0.005, 0.3, 0.94, confidence=0.999),
        rows_needed(0.005, 0.3, 0.94, confidence=0.95, power=0.95),
        rows_needed(0.005, 0.3, 0.94, confidence=0.95, min_effect=0.004),
    ):
        assert harder is not None
        assert harder > usual
    assert 10_000 < usual < 25_000


def test_a_gain_below_the_minimum_effect_is_never_promoted_that_often():
    assert rows_needed(0.002, 0.3, 0.94, confidence=0.95, min_effect=0.002) is None


def test_each_look_needs_the_confidence_that_the_gate_then_uses():
    policy = Gate(correction="day", looks=3)
    confidences: list[float] = []

    def needed(confidence: float) -> int:
        confidences.append(confidence)
        return 2500

    found = passing(policy, 500, 1000, 4, 100, needed)
    planned = plan(policy, 500, 1000, 4)
    looks: list[dict[str, object]] = []
    for rows in (500, 1500, 2500):
        confidence, spent, _ = spend(policy, planned, looks, rows)
        looks.append({"rows": rows, "confidence": confidence, "spent": spent})
    assert confidences == [each["confidence"] for each in looks]
    assert min(confidences) > 1 - 0.05 / 4
    assert (found.days, found.gate_rows, found.confidence) == (3, 2500, confidences[-1])
    alone = passing(Gate(correction="none", looks=1), 3000, 1000, 4, 100, needed)
    assert (alone.days, alone.confidence) == (1, pytest.approx(0.95))


def test_looks_without_enough_data_spend_nothing():
    policy = Gate(correction="none", looks=3)
    found = passing(policy, 500, 1000, 1, 2400, lambda _: 100)
    assert (found.days, found.gate_rows) == (3, 2400)
    assert found.confidence == pytest.approx(0.95)


@pytest.mark.parametrize(("wait", "told"), [(True, "3 days bring 2,500"), (False, "1 day brings")])
def test_a_need_beyond_the_looks_is_never_met(wait: bool, told: str):
    found = passing(Gate(looks=3, wait=wait), 500, 1000, 1, 100, lambda _: 2501)
    assert (found.days, found.gate_rows) == (None, 2501)
    assert (found.never or "").startswith(told)


def needs(world: World, gain: float = 0.02, **options: int) -> dict[str, Any]:
    with Ledger(world.config) as ledger:
        return gate_needs(world.config, ledger, gain, 0.94, **options)


def test_needs_are_read_from_the_lake(ingested_world: World):
    found = needs(ingested_world)
    assert len(found["domains"]) == 4
    sizes = [need["rows_a_day"] for need in found["domains"]]
    assert sizes == sorted(sizes, reverse=True)
    assert sum(sizes) == pytest.approx(1200)
    share, looks = ingested_world.config.adapter.gate_share, ingested_world.config.gate.looks
    for need in found["domains"]:
        assert 0.1 < need["click_rate"] < 0.5
        assert 0 < need["effective_users_a_day"] <= need["users_a_day"] <= 150
        assert need["first_rows"] == pytest.approx(share * need["rows_a_day"], abs=1)
        assert need["most_rows"] == pytest.approx(
            (share + looks - 1) * need["rows_a_day"], abs=looks
        )
        assert (need["days"] is None) == (need["gate_rows"] > need["most_rows"])
    assert needs(ingested_world, min_rows=10_000)["domains"] == []


def test_decisions_that_share_the_error_need_more_rows(ingested_world: World):
    alone, shared = (needs(ingested_world, together=count)["domains"] for count in (1, 20))
    assert all(
        one["gate_rows"] < many["gate_rows"] for one, many in zip(alone, shared, strict=True)
    )


def test_a_champion_s_auc_is_that_of_its_newest_gate_report(ingested_world: World):
    gate = GateReport(champion=Side(ctr_auc=0.61), challenger=Side(ctr_auc=0.64))
    with Ledger(ingested_world.config) as ledger:
        for day, state, report in (
            ("2026-03-03", "promoted", gate),
            ("2026-03-04", "stable", None),
        ):
            ledger.decide(
                id=day, domain=DOMAIN, domain_key=KEY, day=day, revision=1, backbone="b",
                state=state, scores=Scores(), sentence="", data_version="v", champion_version=0,
                **({} if report is None else {"gate": report}),
            )  # fmt: skip
    rows = needs(ingested_world)["domains"]
    found = {need["domain"]: (need["auc"], need["auc_known"]) for need in rows}
    assert found.pop(DOMAIN) == (0.64, True)
    assert set(found.values()) == {(0.7, False)}


@pytest.mark.slow
@pytest.mark.ci
def test_command_prints_a_table_or_json(ingested_world: World):
    options = ["gate", "--power", "--gain", "0.003", "-c", str(ingested_world.params)]
    told = CliRunner().invoke(app, options, env={"COLUMNS": "200"})
    assert told.exit_code == 0
    assert "home · north" in told.output
    assert "never: 5 days bring" in told.output
    assert (
        "never: the gain is not above gate.min_effect"
        in CliRunner().invoke(app, [*options, "--gain", "0.001"], env={"COLUMNS": "200"}).output
    )
    found = json.loads(CliRunner().invoke(app, [*options, "--decisions", "3", "--json"]).output)
    assert (found["gain"], found["power"], found["decisions_a_day"]) == (0.003, 0.8, 3)
    assert CliRunner().invoke(app, ["gate", "-c", str(ingested_world.params)]).exit_code == 2


def test_an_empty_lake_is_told(world: World):
    with pytest.raises(LakeError, match="holds no day"):
        needs(world)
