"""A recommender of the user's own in a bundle: its code, its weights, its columns, its pasts."""

import importlib
import shutil
import sys
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from driftune.features.days import encode_day
from driftune.intake.ingest import ensure_reference
from driftune.io import read_json
from driftune.models.adapters import Adapter, IAKConfig, IAKKernel
from driftune.project import Project
from driftune.registry.champions import champions_for
from driftune.registry.ledger import Ledger
from driftune.serving import Scorer, own
from driftune.serving.check import _delivered, check_bundle
from driftune.serving.manifest import read_manifest, write_manifest
from driftune.serving.own_code import importing
from driftune.training.pretrain import load_model, pretrain
from driftune.training.rows import load_rows
from driftune.training.scoring import score
from tests.checkpoint import judged_plainly
from tests.conftest import REFERENCE_DAYS, World, made_once
from tests.crowning import crown
from tests.serving.conftest import Bundled, bundled, write_reference
from tests.serving.test_registered_bundle import load, register

CODE = '''
import numpy as np
import torch
from torch import nn

from driftune.models.columns import numbers_of, padded_ids
from driftune.models.recommender import Recommender
from served_helper import vocabulary


class Own(Recommender):
    """Reads ids, the price as logged, the position, and the items that the user bought."""

    def __init__(self, schema, width):
        super().__init__()
        self.length = schema.history
        self.items = nn.Embedding(100, width)
        self.table = nn.Embedding(sum(schema.sizes), width)
        self.first = nn.Linear(2 * width + 3 + len(schema.numbers), 16)
        self.last = nn.Linear(16, 2)

    def inputs(self, rows):
        plain = [numbers_of(rows.table[name]) for name in ("price", "position", "stock")]
        past = padded_ids(rows.table["history_item"], vocabulary(), self.length)
        return rows.ids, rows.numbers, torch.stack(plain, 1), past

    def forward(self, ids, numbers, plain, past):
        seen = self.items(past).sum(1)
        read = torch.cat([self.table(ids[:, :1]).flatten(1), seen, plain / 100, numbers], 1)
        click, convert = self.last(torch.relu(self.first(read))).unbind(1)
        return click, convert


def make(schema, width=4):
    return Own(schema, width)
'''
HELPER = """import pyarrow as pa



def vocabulary():
    return pa.array([f"i{n}" for n in range(60)])
"""
OWN = {
    "factory": "served_own:make",
    "weights": "own.safetensors",
    "options": {"width": 3},
    "code": ["served_helper.py"],
    "columns": ["user", "time", "hour", "domain", "price", "position", "stock", "request"],
    "history": {"of": "conversions", "columns": ["item", "price"], "length": 3, "lag_hours": 30},
}
DOMAIN = "search · north"


@pytest.fixture(scope="session")
def _own(tmp_path_factory):
    def make(folder):
        (folder / "served_own.py").write_text(CODE)
        (folder / "served_helper.py").write_text(HELPER)
        features = {"categorical": ["restaurant_id"], "numerical": ["stock"]}
        world = World(
            folder,
            features={**features, "debias": {"position": 1}},
            recommender=OWN,
            adapter={"at": "auto"},
            timezone="Europe/Berlin",
        )
        write_reference(world)
        torch.manual_seed(3)
        with judged_plainly(), Ledger(world.config) as ledger:
            ensure_reference(world.config, ledger)
            pretrain(world.config, ledger, "encode")
            sys.path.insert(0, str(folder))
            from driftune.features.encoder import load_encoder
            from driftune.models.own import schema_of

            encoder = load_encoder(world.config.home / "model" / "encoder")
            import served_own

            model = served_own.make(schema_of(world.config, encoder), 3)
            save_file(model.state_dict(), folder / "own.safetensors")
            sys.path.remove(str(folder))
            pretrain(world.config, ledger, "pretrain")
        adapter = Adapter({"first": IAKKernel(16, IAKConfig(4, 8, "replace"))}).eval()
        crown(world, adapter, world.config.reference.days, domain=DOMAIN)
        bundled(world)

    return made_once(tmp_path_factory, "own", make)


def expected(world, day):
    config = world.config
    encoder, model, mark = load_model(config)
    rows = load_rows(encoder, [encode_day(config, encoder, day)])
    with Ledger(config) as ledger:
        keys = sorted(set(rows.domain_key.tolist()))
        _, bank = champions_for(config, ledger, mark, keys)
    return rows, score(model, rows, bank)


@pytest.mark.slow
@pytest.mark.ci
def test_its_scores_are_those_of_training(_own, tmp_path):
    world = World.at(_own)
    day = world.day(REFERENCE_DAYS)
    delivered = Bundled(world, _own / "bundle", day).rows
    rows, (p_click, p_ctcvr) = expected(world, day)
    lengths = {len(each) for each in rows.table["history_item"].to_pylist()}
    assert {0, 1, 2} <= lengths
    moved = tmp_path / "moved"
    shutil.copytree(_own / "bundle", moved)
    scorer = Scorer.open(moved)
    assert code_of(scorer).startswith(str(moved))
    found = scorer.score(delivered)
    np.testing.assert_array_equal(found["p_click"].to_numpy(), p_click)
    np.testing.assert_array_equal(found["p_ctcvr"].to_numpy(), p_ctcvr)
    assert set(found["served_by"].to_pylist()) == {"adapter", "base"}


@pytest.mark.slow
@pytest.mark.ci
def test_files_that_are_written_over_do_not_change_its_scores(_own, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(_own / "bundle", moved)
    rows = Bundled(World.at(_own), _own / "bundle", World.at(_own).day(REFERENCE_DAYS)).rows
    scorer = Scorer.open(moved)
    wanted = scorer.score(rows)
    for path in (moved / "parts").rglob("*"):
        if path.suffix in (".safetensors", ".arrow"):
            with path.open("r+b") as file:
                file.truncate(64)
    assert scorer.score(rows).equals(wanted)


def code_of(scorer):
    """The file of which the model's code is."""
    return type(scorer._now.model).inputs.__code__.co_filename


@pytest.fixture
def moved(_own, tmp_path):
    """A copy of the bundle, and rows of the day after."""
    shutil.copytree(_own / "bundle", tmp_path / "moved")
    world = World.at(_own)
    day = world.day(REFERENCE_DAYS)
    return tmp_path / "moved", Bundled(world, _own / "bundle", day).rows


def test_modules_of_the_process_are_its_own_again(moved, monkeypatch):
    bundle, rows = moved
    service = {name: ModuleType(name) for name in ("served_own", "served_helper")}
    for name, module in service.items():
        monkeypatch.setitem(sys.modules, name, module)
    scorer = Scorer.open(bundle)
    assert code_of(scorer).startswith(str(bundle))
    assert {name: sys.modules[name] for name in service} == service
    assert scorer.score(rows)["p_click"].null_count == 0
    assert not any(path.name == "__pycache__" for path in bundle.rglob("*"))


def test_modules_of_one_bundle_are_not_those_of_the_next(moved, monkeypatch):
    bundle, rows = moved
    for name in ("served_own", "served_helper"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    first = Scorer.open(bundle)
    other = bundle.with_name("other")
    shutil.copytree(bundle, other)
    second = Scorer.open(other)
    assert code_of(first).startswith(str(bundle)) and code_of(second).startswith(str(other))
    assert first.score(rows).equals(second.score(rows))


def test_a_file_that_the_manifest_does_not_name_is_not_imported(moved, monkeypatch):
    bundle, _ = moved
    monkeypatch.delitem(sys.modules, "served_extra", raising=False)
    part = bundle / "parts" / read_manifest(bundle).part("code").name
    (part / "served_extra.py").write_text("raise SystemExit(3)")
    (part / "served_helper").mkdir()
    (part / "served_helper" / "__init__.py").write_text("raise SystemExit(3)")
    Scorer.open(bundle)
    with pytest.raises(ModuleNotFoundError), importing(part, {"served_own.py": b""}):
        importlib.import_module("served_extra")


@pytest.mark.parametrize(
    "files",
    [
        {"bundled/__init__.py": b"from bundled.inner import found"},
        {"bundled/__init__.py": b"from .inner import found"},
        {"bundled.py": b"found = 7"},
    ],
)
def test_code_may_be_packages(tmp_path, files):
    with importing(tmp_path, {**files, "bundled/inner.py": b"found = 7", "names/a.py": b"b = 8"}):
        assert importlib.import_module("bundled").found == 7
        assert importlib.import_module("names.a").b == 8
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_a_refresh_makes_no_model_and_reads_no_part_again(moved, monkeypatch):
    """Of a manifest that names the same parts; what it names is handed on."""
    bundle, rows = moved
    scorer = Scorer.open(bundle)
    before, wanted = scorer._now, scorer.score(rows)
    said = read_json(bundle / "manifest.json")
    write_manifest(bundle, {**said, "driftune": "0.0.1"})
    shutil.rmtree(bundle / "parts")
    monkeypatch.setattr(own, "own_model", None)
    assert scorer.refresh()
    now = scorer._now
    assert now.model is not before.model and now.pasts is before.pasts
    weights = zip(now.model.parameters(), before.model.parameters(), strict=True)
    assert all(mine is its for mine, its in weights)
    assert scorer.score(rows).equals(wanted)


def test_a_model_that_cannot_be_copied_is_made_again(moved, monkeypatch):
    bundle, rows = moved
    scorer = Scorer.open(bundle)
    wanted = scorer.score(rows)

    def uncopied(*_):
        raise TypeError("cannot pickle a lock")

    monkeypatch.setattr(type(scorer._now.pristine), "__deepcopy__", uncopied, raising=False)
    write_manifest(bundle, {**read_json(bundle / "manifest.json"), "driftune": "0.0.1"})
    assert scorer.refresh()
    assert scorer._now.model is not scorer._now.pristine
    assert scorer.score(rows).equals(wanted)


def test_its_columns_are_those_of_training(_own):
    world = World.at(_own)
    day = world.day(REFERENCE_DAYS)
    now = Scorer.open(_own / "bundle")._now
    from driftune.serving.rows import read_rows

    delivered = Bundled(world, _own / "bundle", day).rows
    found = now.encode(read_rows(now.manifest, delivered, now.zone)).table
    wanted = expected(world, day)[0].as_scored().table
    assert found.column_names == wanted.column_names
    for name in wanted.column_names:
        assert found[name].to_pylist() == wanted[name].to_pylist(), name


def test_what_it_reads_is_delivered_when_its_bundle_is_compared(_own):
    config = World.at(_own).config
    plain = config.features.model_copy(update={"debias": {}})
    config = config.model_copy(update={"features": plain})
    delivered = _delivered(config, read_manifest(_own / "bundle"))
    assert {'position AS "position"', 'request_id AS "request_id"'} <= {*delivered}


@pytest.mark.slow
@pytest.mark.ci
def test_its_bundle_is_compared_with_training(_own):
    with Project(World.at(_own).config) as project:
        assert "have the scores of training" in check_bundle(project, _own / "bundle", 200)


@pytest.mark.slow
@pytest.mark.ci
def test_its_bundle_is_a_model_in_mlflow(_own, tmp_path):
    world = World.copied(_own, tmp_path / "own")
    served = Bundled(world, world.root / "bundle", world.day(REFERENCE_DAYS))
    register(served)
    said, found = load(served, tmp_path)
    assert said["columns"]["request_id"] == ["DataType.string", False]
    wanted = Scorer.open(served.bundle).score(served.rows).to_pandas(integer_object_nulls=True)
    pd.testing.assert_frame_equal(found, wanted)
