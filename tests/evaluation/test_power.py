"""Rows that a promotion needs: against simulated gates, and read from the lake."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from driftune.cli import app
from driftune.errors import LakeError
from driftune.evaluation.metrics import auc
from driftune.evaluation.power import gate_needs, row_variance, rows_needed
from tests.conftest import World


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


def test_needs_are_read_from_the_lake(ingested_world: World):
    found = gate_needs(ingested_world.config, 0.02, 0.94)
    assert len(found["domains"]) == 4
    sizes = [need["rows_a_day"] for need in found["domains"]]
    assert sizes == sorted(sizes, reverse=True)
    assert sum(sizes) == pytest.approx(1200)
    for need in found["domains"]:
        assert 0.1 < need["click_rate"] < 0.5
        assert 0 < need["effective_users_a_day"] <= need["users_a_day"] <= 150
        assert need["days"] == pytest.approx(need["gate_rows"] / need["gate_rows_a_day"])
    assert gate_needs(ingested_world.config, 0.02, 0.94, min_rows=10_000)["domains"] == []


def test_command_prints_a_table_or_json(ingested_world: World):
    options = ["gate", "--power", "--gain", "0.01", "-c", str(ingested_world.params)]
    told = CliRunner().invoke(app, options)
    assert told.exit_code == 0
    assert "home · north" in told.output
    found = json.loads(CliRunner().invoke(app, [*options, "--json"]).output)
    assert (found["gain"], found["power"]) == (0.01, 0.8)
    assert CliRunner().invoke(app, ["gate", "-c", str(ingested_world.params)]).exit_code == 2


def test_an_empty_lake_is_told(world: World):
    with pytest.raises(LakeError, match="holds no day"):
        gate_needs(world.config, 0.01, 0.9)
