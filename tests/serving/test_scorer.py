"""Scores of a bundle: those of training, bit for bit, whatever the types of the columns."""

import numpy as np
import pytest
import torch
import yaml

from driftune.project import Project
from driftune.serving import Scorer
from driftune.serving.check import check_bundle
from driftune.serving.encode import encode
from driftune.serving.export import export
from driftune.serving.rows import read_rows
from driftune.training.scoring import score


def test_rows_of_the_day_after_are_encoded_as_training_has_them(read_only):
    now = Scorer.open(read_only.bundle)._now
    _, _, _, rows = read_only.loaded()
    given = read_rows(now.manifest, read_only.rows, now.zone)
    found = encode(now.card, now.fields, now.counts, given)
    wanted = rows.as_scored()
    for number, name in enumerate(now.card.fields):
        assert torch.equal(found.ids[:, number], wanted.ids[:, number]), name
    for number, name in enumerate(now.card.numbers):
        assert torch.equal(found.numbers[:, number], wanted.numbers[:, number]), name


def test_scores_are_those_of_training_bit_for_bit(read_only):
    found = Scorer.open(read_only.bundle).score(read_only.rows)
    p_click, p_ctcvr = read_only.expected()
    np.testing.assert_array_equal(found["p_click"].to_numpy(), p_click)
    np.testing.assert_array_equal(found["p_ctcvr"].to_numpy(), p_ctcvr)
    assert set(found["served_by"].to_pylist()) == {"adapter", "base"}


@pytest.mark.slow
@pytest.mark.ci
def test_a_bundle_computes_in_the_precision_of_training(served):
    params = yaml.safe_load(served.world.params.read_text())
    params["adapter"] = {**(params.get("adapter") or {}), "precision": "bf16"}
    served.world.params.write_text(yaml.dump(params))
    plain = Scorer.open(served.bundle).score(served.rows)
    with Project(served.world.config) as project:
        export(project, served.bundle, served.world.day(2))
        model = project.served.model
        _, _, bank, rows = served.loaded()
        p_click, p_ctcvr = score(model, rows, bank)
        found = Scorer.open(served.bundle).score(served.rows)
        export(project, served.bundle)
        assert "scores of training bit for bit" in check_bundle(project, served.bundle, 200)
    np.testing.assert_array_equal(found["p_click"].to_numpy(), p_click)
    np.testing.assert_array_equal(found["p_ctcvr"].to_numpy(), p_ctcvr)
    assert not found["p_click"].equals(plain["p_click"])
