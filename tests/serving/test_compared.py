"""A bundle against the project, on the lake's own rows."""

import numpy as np
import pytest

from driftune.errors import BundleError
from driftune.project import Project
from driftune.serving import Scorer
from driftune.serving import check as checking
from driftune.serving.check import check_bundle
from driftune.training.scoring import score
from tests.crowning import KEY, crown, random_adapter, split_of


def test_real_rows_have_the_scores_of_training(read_only):
    with Project(read_only.world.config) as project:
        said = check_bundle(project, read_only.bundle, 300)
    assert f"300 rows of {read_only.day} have the scores of training" in said


def test_rows_that_the_gate_judges_have_the_scores_that_it_sees(read_only):
    """A champion on the gate's rows of the day, as ``evaluation`` is given them."""
    _, model, bank, rows = read_only.loaded()
    gate = split_of(read_only.world, read_only.day).gate
    assert len(gate) > 50 and set(gate.domain_key.tolist()) == {KEY}
    p_click, p_ctcvr = score(model, gate, bank)
    here = (rows.domain_key == KEY) & (rows.time >= gate.time.min())
    found = Scorer.open(read_only.bundle).score(read_only.rows.filter(here.tolist()))
    np.testing.assert_array_equal(found["p_click"].to_numpy(), p_click)
    np.testing.assert_array_equal(found["p_ctcvr"].to_numpy(), p_ctcvr)


def test_a_bundle_that_is_behind_is_told_in_one_line(served):
    crown(served.world, random_adapter(served.world), served.world.config.reference.days, 2)
    with Project(served.world.config) as project, pytest.raises(BundleError) as told:
        check_bundle(project, served.bundle)
    assert "has version 1 of home · north, and 2 serves now; export it again" in str(told.value)


def test_other_scores_are_told_in_one_line(read_only, monkeypatch):
    def shifted(*given):
        p_click, p_ctcvr = score(*given)
        return p_click + 2e-6 * (np.arange(len(p_click)) < 3), p_ctcvr

    monkeypatch.setattr(checking, "score", shifted)
    with Project(read_only.world.config) as project, pytest.raises(BundleError) as told:
        check_bundle(project, read_only.bundle, 200)
    assert f"3 of 200 rows of {read_only.day} have other scores" in str(told.value)
