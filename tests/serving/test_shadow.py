"""Challengers that wait are scored beside the champions, and never serve."""

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet
import pytest

from driftune.config.workspace import Workspace
from driftune.domains import domain_key
from driftune.errors import BundleError
from driftune.models.adapters import save_adapter
from driftune.project import Project
from driftune.serving import Scorer
from driftune.serving.export import Exported, export
from driftune.serving.files import score_file
from driftune.serving.manifest import read_manifest
from driftune.training.pretrain import load_model
from tests.conftest import DOMAINS
from tests.crowning import crown, pending, random_adapter
from tests.serving.conftest import Bundled

OTHER = "search · north"
SCORES = ("p_click", "p_convert", "p_ctcvr")


def wait(served: Bundled, domain: str, scale: float, number: int = 1) -> str:
    """A challenger of the domain waits; returns its decision."""
    world = served.world
    decision = pending(world, world.day(2), number, domain, state="waiting")
    backbone = load_model(world.config)[2]
    adapter = random_adapter(world, scale=scale)
    save_adapter(Workspace(world.config).challenger(decision), adapter, {"backbone": backbone})
    return decision


def exported(served: Bundled, *, challengers: bool = True) -> Exported:
    """The world's bundle, written anew."""
    with Project(served.world.config) as project:
        day = read_manifest(served.bundle).day
        return export(project, served.bundle, day, challengers=challengers)


def test_a_challenger_scores_as_it_will_once_it_is_promoted(served):
    world = served.world
    decision = wait(served, DOMAINS[0], 3)
    found = exported(served)
    assert (found.challengers, found.lost, found.adapters) == (1, 0, 2)
    plain, shadow = Scorer.open(served.bundle), Scorer.open(served.bundle, shadow=True)
    before, beside = plain.score(served.rows), shadow.score(served.rows)
    assert "challenger" not in before.column_names
    assert beside.select(before.column_names).equals(before)
    own = np.array(beside["domain"].to_pylist()) == DOMAINS[0]
    assert beside["challenger"].to_pylist() == [decision if each else None for each in own]
    assert own.any() and not own.all()
    crown(world, random_adapter(world, scale=3), world.config.reference.days, 2)
    exported(served, challengers=False)
    after = Scorer.open(served.bundle).score(served.rows)
    for name in SCORES:
        said = beside[f"challenger_{name}"].filter(pa.array(own)).to_numpy()
        np.testing.assert_allclose(
            said, after[name].filter(pa.array(own)).to_numpy(), rtol=0, atol=1e-6
        )
        assert beside[f"challenger_{name}"].filter(pa.array(~own)).null_count == (~own).sum()
        assert np.abs(said - before[name].filter(pa.array(own)).to_numpy()).max() > 1e-3


@pytest.mark.slow
@pytest.mark.ci
def test_a_domain_without_a_champion_has_its_newest_challenger(served):
    wait(served, OTHER, 2)
    newest = wait(served, OTHER, 4, number=2)
    exported(served)
    scorer = Scorer.open(served.bundle, shadow=True)
    assert scorer.manifest.challengers is not None
    assert [each.decision for each in scorer.manifest.challengers.values()] == [newest]
    scores = scorer.score(served.rows).filter(pa.compute.field("domain") == OTHER)
    assert set(scores["served_by"].to_pylist()) == {"base"}
    assert set(scores["challenger"].to_pylist()) == {newest}
    assert scores["challenger_p_click"].null_count == 0


def test_rows_that_cannot_be_scored_have_no_challenger_either(served):
    wait(served, DOMAINS[0], 3)
    exported(served)
    row = served.rows.filter(
        pa.compute.and_(
            pa.compute.equal(served.rows["scene"], "home"),
            pa.compute.equal(served.rows["region"], "north"),
        )
    ).slice(0, 1).to_pylist()[0]  # fmt: skip
    scorer = Scorer.open(served.bundle, shadow=True)
    whole, broken = scorer.score([row, row | {"user_id": None}]).to_pylist()
    assert whole["challenger"] and whole["challenger_p_click"] is not None
    assert broken["why"] == "no user"
    assert broken["challenger"] is None and broken["challenger_p_click"] is None
    assert scorer.score([]).column_names[-1] == "challenger"


@pytest.mark.slow
@pytest.mark.ci
def test_it_is_taken_up_and_given_up_by_a_refresh(served):
    exported(served)
    scorer = Scorer.open(served.bundle, shadow=True)
    assert scorer.score(served.rows)["challenger"].null_count == len(served.rows)
    decision = wait(served, DOMAINS[0], 3)
    exported(served)
    assert scorer.refresh()
    assert decision in scorer.score(served.rows)["challenger"].to_pylist()
    exported(served, challengers=False)
    assert scorer.refresh()
    assert scorer.score(served.rows)["challenger"].null_count == len(served.rows)


def test_a_damaged_challenger_is_said_and_hinders_nobody(served):
    decision = wait(served, DOMAINS[0], 3)
    file = Workspace(served.world.config).challenger(decision) / "adapter.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    found = exported(served)
    assert (found.challengers, found.lost) == (0, 1)
    scorer = Scorer.open(served.bundle, shadow=True)
    said = (scorer.manifest.challengers or {})[domain_key(DOMAINS[0])]
    assert said.part is None and said.problem and str(served.world.root) not in said.problem
    assert scorer.score(served.rows)["challenger"].null_count == len(served.rows)


def test_a_bundle_without_challengers_is_refused(served):
    with pytest.raises(BundleError, match="was exported without challengers; export it with them"):
        Scorer.open(served.bundle, shadow=True)


@pytest.mark.slow
@pytest.mark.ci
def test_files_have_both_scores(served, tmp_path):
    decision = wait(served, DOMAINS[0], 3)
    exported(served)
    pa.parquet.write_table(served.rows, tmp_path / "rows.parquet")
    scorer = Scorer.open(served.bundle, shadow=True)
    score_file(scorer, tmp_path / "rows.parquet", tmp_path / "out.parquet")
    found = pa.parquet.read_table(tmp_path / "out.parquet")
    assert decision in found["challenger"].to_pylist()
    assert {"p_click", "challenger_p_click"} <= set(found.column_names)
