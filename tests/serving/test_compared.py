"""A bundle against the project, on the lake's own rows."""

import numpy as np
import pytest

from driftune.errors import BundleError
from driftune.project import Project
from driftune.serving import Scorer
from driftune.serving import check as checking
from driftune.serving.check import check_bundle
from driftune.serving.export import export
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


def test_a_first_champion_of_a_domain_that_the_bundle_does_not_know_is_told(served):
    days = served.world.config.reference.days
    crown(served.world, random_adapter(served.world), days, domain="mars · north")
    with Project(served.world.config) as project, pytest.raises(BundleError) as told:
        check_bundle(project, served.bundle)
    assert "has version 0 of mars · north, and 1 serves now; export it again" in str(told.value)


@pytest.mark.parametrize("how", ["damaged", "gone"])
@pytest.mark.few(1)
def test_a_champion_that_cannot_serve_is_said_where_the_base_serves(served, how):
    config = served.world.config
    before = Scorer.open(served.bundle).score(served.rows)
    folder = next((config.home / "adapters" / KEY).iterdir())
    path = folder / "adapter.safetensors"
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    with Project(config) as project:
        found = export(project, served.bundle, served.world.day(2))
        assert (found.adapters, found.gone) == (1, 1)
        assert "have the scores of training" in check_bundle(project, served.bundle, 100)
    scorer = Scorer.open(served.bundle)
    said = scorer.domains()[KEY]
    assert (said["version"], said["served_by"]) == (1, "base")
    assert said["problem"] and str(served.world.root) not in said["problem"]
    after = scorer.score(served.rows)
    here = np.array(after["domain"].to_pylist()) == "home · north"
    scored = here & after["p_click"].is_valid().to_numpy()
    for name, values in (("why", {"adapter gone"}), ("served_by", {"base"}), ("champion", {0})):
        assert {*np.array(after[name].to_pylist())[scored]} == values
    changed = after["p_click"].to_numpy() != before["p_click"].to_numpy()
    np.testing.assert_array_equal(changed[scored], True)
    assert not changed[~here & after["p_click"].is_valid().to_numpy()].any()


def test_other_scores_are_told_in_one_line(read_only, monkeypatch):
    def shifted(*given):
        p_click, p_ctcvr = score(*given)
        return p_click + 2e-6 * (np.arange(len(p_click)) < 3), p_ctcvr

    monkeypatch.setattr(checking, "score", shifted)
    with Project(read_only.world.config) as project, pytest.raises(BundleError) as told:
        check_bundle(project, read_only.bundle, 200)
    assert f"3 of 200 rows of {read_only.day} have other scores" in str(told.value)
