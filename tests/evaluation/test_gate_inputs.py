"""What the gate refuses to judge: unusable inputs reject, too little data is insufficient."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from driftune.evaluation.gate import GateRows, Scores
from tests.evaluation.gate_worlds import ROWS, World, decide, failed, rule


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.01, 1.01])
@pytest.mark.parametrize("column", ["p_click", "p_ctcvr"])
@pytest.mark.parametrize("side", ["champion", "challenger"])
def test_scores_that_are_no_probabilities_reject(world: World, bad: float, column: str, side: str):
    scores = {"champion": world.model(blur=1.0), "challenger": world.model(blur=0.1)}
    values = getattr(scores[side], column).copy()
    values[17] = bad
    scores[side] = replace(scores[side], **{column: values})
    report = decide(world, scores["champion"], scores["challenger"])
    assert report.decision == "reject"
    name = f"{side} {'pCTR' if column == 'p_click' else 'pCTCVR'}"
    assert failed(report) == [name]
    assert rule(report, name).value == 1
    assert "1 of 4,000 values" in rule(report, name).sentence


def test_lengths_that_differ_reject(world: World):
    challenger = world.model(blur=0.1)
    short = Scores(challenger.p_click[:-1], challenger.p_ctcvr)
    report = decide(world, world.model(blur=1.0), short)
    assert report.decision == "reject"
    assert failed(report) == ["challenger pCTR"]
    assert report.difference is None


@pytest.mark.parametrize(
    ("column", "values", "name"),
    [
        ("click", np.full(ROWS, 2), "clicks"),
        ("convert", np.full(ROWS, np.nan), "conversions"),
        ("user", np.array([None] * ROWS), "user ids"),
        ("user", np.full(ROWS, np.nan), "user ids"),
        ("user", np.arange(ROWS - 1), "user ids"),
    ],
)
def test_unusable_rows_reject(world: World, column: str, values: np.ndarray, name: str):
    champion, challenger = world.model(blur=1.0), world.model(blur=0.1)
    world.rows = replace(world.rows, **{column: values})
    report = decide(world, champion, challenger)
    assert report.decision == "reject"
    assert failed(report) == [name]


def only(world: World, keep: np.ndarray, scores: Scores) -> Scores:
    return Scores(scores.p_click[keep], scores.p_ctcvr[keep])


@pytest.mark.parametrize(
    ("keep", "missing"),
    [
        (lambda rows: rows.user < 49, "enough users"),
        (lambda rows: np.arange(ROWS) < 299, "enough rows"),
        (lambda rows: rows.click == 0, "enough clicks"),
        (lambda rows: rows.click == 1, "enough rows without clicks"),
        (lambda rows: np.zeros(ROWS, bool), "enough rows"),
    ],
)
def test_too_little_data_is_insufficient_however_good_the_challenger(
    world: World, keep: Any, missing: str
):
    mask = keep(world.rows)
    champion = only(world, mask, world.model(blur=1.0))
    challenger = only(world, mask, world.model(blur=0.1))
    rows = world.rows
    world.rows = GateRows(rows.user[mask], rows.click[mask], rows.convert[mask])
    report = decide(world, champion, challenger)
    assert report.decision == "insufficient"
    assert rule(report, missing).verdict == "insufficient"
    assert "too few" in rule(report, missing).sentence
    json.dumps(report.to_dict(), allow_nan=False)


def test_users_of_very_unequal_activity_are_insufficient(world: World):
    share = 1 / np.arange(1, 301)
    users = world.rng.choice(300, ROWS, p=share / share.sum())
    champion, challenger = world.model(blur=1.0), world.model(blur=0.1)
    world.rows = replace(world.rows, user=users)
    report = decide(world, champion, challenger)
    assert report.decision == "insufficient"
    assert failed(report) == ["enough effective users"]


def test_clicks_of_one_user_alone_are_insufficient(world: World):
    champion, challenger = world.model(blur=1.0), world.model(blur=0.1)
    users = np.arange(ROWS) % 100
    world.rows = GateRows(users, (users == 0).astype(int), np.zeros(ROWS))
    report = decide(world, champion, challenger)
    assert report.decision == "insufficient"
    assert failed(report)[0] == "interval above zero"
    assert "no interval" in rule(report, "interval above zero").sentence
