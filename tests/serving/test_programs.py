"""Programs of a bundle: the scores of the scorer, by torch or onnxruntime alone."""

import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from driftune.domains import domain_key
from driftune.errors import BundleError
from driftune.models.adapters import (
    Adapter,
    CopyConfig,
    HoulsbyConfig,
    IAKConfig,
    KernelConfig,
    LoRAConfig,
    attach,
)
from driftune.models.esmm import ESMM
from driftune.project import Project
from driftune.serving import Scorer
from driftune.serving.export import Exported, export
from driftune.serving.manifest import read_manifest
from driftune.serving.programs.module import Program, program_of
from driftune.serving.programs.refused import why
from tests.conftest import DOMAINS

ALONE = """
import json, sys
import torch
program = torch.export.load(sys.argv[1], extra_files=(extra := {"program.json": ""}))
given = torch.load(sys.argv[2], weights_only=True)
assert "driftune" not in sys.modules and "pyarrow" not in sys.modules
found = program.module()(*given.values())
torch.save(found, sys.argv[3])
print(json.dumps({"said": json.loads(extra["program.json"]), "given": list(given)}))
"""


def exported(served, *formats: str) -> Exported:
    """The world's bundle, written anew with programs, of the day that it had."""
    with Project(served.world.config) as project:
        return export(project, served.bundle, read_manifest(served.bundle).day, formats)


def test_a_program_scores_as_the_scorer_does_with_torch_alone(served, tmp_path):
    found = exported(served, "torch")
    assert 0 <= found.programs["torch"].differs <= 1e-6
    scorer = Scorer.open(served.bundle)
    given = scorer.inputs(served.rows)
    torch.save(given, tmp_path / "given.pt")
    ran = subprocess.run(
        [sys.executable, "-I", "-W", "ignore", "-c", ALONE,
         str(served.bundle / found.programs["torch"].path),
         str(tmp_path / "given.pt"), str(tmp_path / "found.pt")],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]
    told = json.loads(ran.stdout)
    scores = torch.load(tmp_path / "found.pt", weights_only=True)
    wanted = scorer.score(served.rows)
    assert set(wanted["served_by"].to_pylist()) == {"adapter", "base"}
    for name in ("p_click", "p_convert", "p_ctcvr"):
        np.testing.assert_allclose(scores[name].numpy(), wanted[name].to_numpy(), rtol=0, atol=1e-6)
    said = scorer.manifest.programs
    assert said is not None and told["said"] == json.loads(
        json.dumps(said.as_json() | {"files": {}})
    )
    assert told["given"] == said.names == ["slots", "ids", "numbers"]
    assert {name: each.slot for name, each in said.slots.items()} == {
        DOMAINS[0]: 1, "search · old \\· town": 2,
    }  # fmt: skip
    assert said.encoder.fields == scorer._now.card.fields
    assert said.encoder.sizes == scorer._now.card.sizes


@pytest.mark.slow
@pytest.mark.ci
def test_a_program_is_kept_while_nothing_changes_and_is_of_no_place(served, tmp_path):
    first = exported(served, "torch")
    program = served.bundle / first.programs["torch"].path
    data = program.read_bytes()
    # Neither rows of people nor paths of this machine.
    assert str(Path(__file__).parents[2]).encode() not in data
    with zipfile.ZipFile(program) as archive:
        [inputs] = [name for name in archive.namelist() if "sample_inputs" in name]
        assert archive.read(inputs) == b""
    written = program.stat().st_mtime_ns
    again = exported(served, "torch")
    assert again.programs["torch"] == (first.programs["torch"].path, None)
    assert not again.changed and program.stat().st_mtime_ns == written
    program.write_bytes(data[:-1])
    mended = exported(served, "torch")
    assert mended.programs["torch"].differs is not None and program.read_bytes() == data
    without = exported(served)
    assert without.changed and not without.programs and not program.exists()
    assert Scorer.open(served.bundle).manifest.programs is None
    with pytest.raises(BundleError, match="has no programs; export it with them: driftune export"):
        Scorer.open(served.bundle).inputs(served.rows)


@pytest.mark.slow
@pytest.mark.ci
def test_what_cannot_be_made_leaves_the_former_bundle(served, monkeypatch):
    before = read_manifest(served.bundle).bundle

    def branching(self, ids, numbers):
        shown = numbers if numbers.sum() > 0 else -numbers
        hidden = self.representation(ids, shown)
        return self.click_tower(hidden).squeeze(1), self.convert_tower(hidden).squeeze(1)

    monkeypatch.setattr(ESMM, "forward", branching)
    with pytest.raises(BundleError) as error:
        exported(served, "torch")
    said = str(error.value)
    assert said.startswith("torch.export refuses ESMM: its forward asks for a tensor's values")
    assert "at test_programs.py:" in said and "numbers.sum() > 0" in said and "\n" not in said
    assert read_manifest(served.bundle).bundle == before
    Scorer.open(served.bundle)


@pytest.mark.slow
@pytest.mark.ci
def test_a_program_that_scores_otherwise_is_not_written(served, monkeypatch):
    def wrong(now):
        made = program_of(now)
        tower = made.model.click_tower
        tower[-1].bias = torch.nn.Parameter(tower[-1].bias + 1e-3, requires_grad=False)
        return made

    monkeypatch.setattr("driftune.serving.programs.make.program_of", wrong)
    with pytest.raises(BundleError, match=r"scores differ from the scorer's by up to 0\.000"):
        exported(served, "torch")


def test_an_unknown_format_and_bf16_are_refused(served):
    with pytest.raises(BundleError, match="--format jax: is not known; there are torch, onnx"):
        exported(served, "jax")
    now = Scorer.open(served.bundle)._now
    lowered = replace(now, manifest=replace(now.manifest, precision="bf16"))
    with pytest.raises(BundleError, match=r"adapter\.precision: bf16 is not exported as a program"):
        program_of(lowered)


def kernels(config: KernelConfig, rows: int = 40):
    """A small ESMM with adapters for two domains, its inputs, and the scores that it serves."""
    torch.manual_seed(5)
    model = ESMM([7, 5], 3, 4, [16, 8]).eval()
    inputs = torch.randint(0, 5, (rows, 2)), torch.randn(rows, 3)
    at = ["click_tower.0", "convert_tower.0"]
    adapted = attach(model, config, at, ["a", "b"])
    adapted.build(*inputs)
    for parameter in adapted.bank.parameters():
        with torch.no_grad():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    adapters = [adapted.adapter(name) for name in ("a", "b")]
    slots = torch.arange(rows) % 3
    with torch.no_grad():
        click, convert = adapted(slots - 1, *inputs)
    adapted.detach()
    return model, adapters, slots, inputs, (torch.sigmoid(click), torch.sigmoid(convert))


@pytest.mark.parametrize(
    "config",
    [
        IAKConfig(2, 4, "replace"), IAKConfig(2, 4, "residual"), HoulsbyConfig(4), LoRAConfig(2),
        CopyConfig(),
    ],
    ids=["replace", "residual", "houlsby", "lora", "copy"],
)  # fmt: skip
def test_every_method_is_served_by_slot(config):
    model, adapters, slots, inputs, (click, convert) = kernels(config)
    program = Program(model, adapters, conversions=True)
    with torch.no_grad():
        found = program(slots, *inputs)
        torch.testing.assert_close(found["p_click"].float(), click, rtol=0, atol=1e-6)
        torch.testing.assert_close(found["p_convert"].float(), convert, rtol=0, atol=1e-6)
        base = program(torch.zeros_like(slots), *inputs)["p_click"]
        torch.testing.assert_close(base.float(), torch.sigmoid(model(*inputs)[0]))
        assert (base - found["p_click"]).abs()[slots > 0].max() > 1e-4
        assert len(program(slots[:0], *(each[:0] for each in inputs))["p_click"]) == 0


def test_domains_may_have_kernels_of_several_kinds_at_several_places():
    model, (first, second), slots, inputs, _ = kernels(IAKConfig(2, 4, "replace"))
    own = [kernel for _, kernel in second.items()]
    alone = Adapter({"click_tower.3": own[0].__class__(8, IAKConfig(3, 5, "residual"))}).eval()
    program = Program(model, [first, alone], conversions=False)
    assert program.outputs == ["p_click"]
    with torch.no_grad():
        found = program(slots, *inputs)["p_click"]
        one = Program(model_again(model), [first], conversions=False)
        wanted = one(torch.where(slots == 1, 1, 0), *inputs)["p_click"]
    torch.testing.assert_close(found[slots < 2], wanted[slots < 2])


def model_again(model: ESMM) -> ESMM:
    """Another one with the same weights, to which nothing is attached."""
    made = ESMM(**model.shape).eval()
    made.load_state_dict(model.state_dict())
    return made


class _ByRow(torch.nn.Module):
    def forward(self, x):
        return torch.stack([row.sum() for row in x])


class _Numpy(torch.nn.Module):
    def forward(self, x):
        return torch.from_numpy(x.numpy() * 2)


@pytest.mark.parametrize(
    ("model", "said"),
    [(_ByRow(), "holds for one number of rows alone"), (_Numpy(), ".numpy() is not supported")],
)
def test_the_reason_of_a_refusal_is_one_line(model, said):
    rows = torch.export.Dim("rows", min=0)
    with pytest.raises(Exception, match=r".") as error:
        torch.export.export(model, (torch.ones(5, 2),), dynamic_shapes=({0: rows},))
    line = why(error.value)
    assert said in line and "\n" not in line and len(line) < 400


@pytest.mark.slow
@pytest.mark.ci
def test_onnx_scores_as_the_scorer_does(served):
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
    found = exported(served, "onnx")
    assert 0 <= found.programs["onnx"].differs <= 1e-6
    session = onnxruntime.InferenceSession(str(served.bundle / found.programs["onnx"].path))
    scorer = Scorer.open(served.bundle)
    given = {name: each.numpy() for name, each in scorer.inputs(served.rows).items()}
    assert [each.name for each in session.get_inputs()] == ["slots", "ids", "numbers"]
    said = session.get_modelmeta().custom_metadata_map["program.json"]
    assert json.loads(said)["slots"][DOMAINS[0]]["slot"] == 1
    names = [each.name for each in session.get_outputs()]
    wanted = scorer.score(served.rows)
    for rows in (1, 3, len(served.rows)):
        some = {name: each[:rows] for name, each in given.items()}
        for name, scores in zip(names, session.run(names, some), strict=True):
            own = wanted[name].to_numpy()[:rows]
            np.testing.assert_allclose(scores, own, rtol=0, atol=1e-6)
    assert domain_key(DOMAINS[0]) in scorer.domains()
