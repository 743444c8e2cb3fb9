"""Slices of the gate's rows: their masks, and the corrected test for a loss."""

from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftune.evaluation.gate import Scores
from driftune.evaluation.slices import holm, traffic_slices
from tests.evaluation.gate_worlds import POLICY, World, decide, rule


def test_slices_say_who_and_what_is_new_who_is_heavy_and_when():
    hour = 3_600_000_000
    masks = traffic_slices(
        user=np.array([1, 1, 2, 3]),
        item=np.array([20, 3, 21, 20]),
        time=np.array([4, 5, 16, 22]) * hour,
        earlier_user=np.array([1, 1, 1, 2]),
        earlier_item=np.array([20, 20, 3, 22]),
        unseen_items=16,
        zone=ZoneInfo("Asia/Tokyo"),
    )
    assert masks["new users"].tolist() == [False, False, False, True]
    assert masks["new items"].tolist() == [False, True, True, False]
    assert masks["heavy users"].tolist() == [True, True, False, False]
    assert masks["12 to 18 h"].tolist() == [True, True, False, False]
    assert masks["0 to 6 h"].tolist() == [False, False, True, False]
    assert masks["6 to 12 h"].tolist() == [False, False, False, True]
    for one, other in (("new users", "known users"), ("heavy users", "light users")):
        assert (masks[one] ^ masks[other]).all()


@given(st.dictionaries(st.text(max_size=3), st.floats(0, 1), max_size=8))
@pytest.mark.slow
@pytest.mark.ci
def test_holm_never_lowers_a_p_value_keeps_their_order_and_is_at_most_bonferroni(p_values):
    corrected = holm(p_values)
    for name, p in p_values.items():
        assert p <= corrected[name] <= min(1, p * len(p_values)) + 1e-12
    ranked = sorted(p_values, key=p_values.__getitem__)
    values = [corrected[name] for name in ranked]
    assert values == sorted(values)


def sliced(world: World, harm: float) -> tuple[Scores, Scores]:
    """A challenger that gains over all and loses among the new users."""
    new = world.rows.slices["new users"]
    champion, better = world.model(blur=0.8), world.model(blur=0.1)
    worse = world.model(blur=harm)
    return champion, Scores(np.where(new, worse.p_click, better.p_click), better.p_ctcvr)


def test_a_slice_that_is_shown_to_lose_stops_a_challenger_that_gains_on_the_whole():
    world = World(rows=12_000, users=1200)
    report = decide(world, *sliced(world, harm=1.15))
    assert rule(report, "interval above zero").verdict == "pass"
    assert rule(report, "slices").verdict == "fail"
    assert "new users -0" in rule(report, "slices").sentence
    assert report.decision == "reject"


def test_a_slice_whose_estimate_dips_within_noise_stops_nothing():
    world = World(rows=12_000, users=1200)
    few = np.zeros(12_000, bool)
    few[world.rows.user < 80] = True
    world.rows = replace(world.rows, slices={"few": few})
    champion = world.model(blur=0.8)
    better = world.model(blur=0.1).p_click
    dip = np.where(few, world.model(blur=0.85).p_click, better)
    report = decide(world, champion, Scores(dip, champion.p_ctcvr))
    (found,) = report.slices
    assert found.difference.estimate < -POLICY.slice_tolerance
    assert found.verdict == "pass"
    assert report.decision == "promote"


def test_a_slice_too_small_to_tell_is_unknown_and_named():
    world = World()
    tiny = world.rows.user < 20
    world.rows = replace(world.rows, slices={"tiny": tiny, "rest": ~tiny})
    report = decide(world, world.model(blur=1.0), world.model(blur=0.1))
    assert [found.verdict for found in report.slices] == ["unknown", "pass"]
    assert report.slices[0].difference.rows == 200
    assert rule(report, "slices").sentence.endswith("too small to tell: tiny")
    assert report.decision == "promote"


@pytest.mark.parametrize("mask", [np.zeros(17, bool), np.zeros(4000), np.zeros((4000, 1), bool)])
def test_masks_that_do_not_fit_the_rows_reject(mask: np.ndarray):
    world = World()
    world.rows = replace(world.rows, slices={"bad": mask})
    report = decide(world, world.model(blur=1.0), world.model(blur=0.1))
    assert report.decision == "reject"
    assert rule(report, "slice masks").verdict == "fail"
