"""A recommender of the user's own: what makes it another one, and what is refused."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from driftune.checksums import sha256_of
from driftune.config.recommender import RecommenderSettings
from driftune.errors import BackboneError, ConfigError
from driftune.features.encoder import Encoder
from driftune.models.backbone import load_own_backbone, save_own
from driftune.models.own import load_own
from driftune.models.recommender import Recommender
from tests.conftest import World

CODE = """
from torch import nn
from driftune.models.recommender import Recommender

class Own(Recommender):
    conversions = False

    def __init__(self, width):
        super().__init__()
        self.body = nn.Linear(3, width)

    def inputs(self, rows):
        return (rows.numbers,)

    def forward(self, numbers):
        return self.body(numbers)[:, 0]

def make(schema, width=4, note=""):
    import nets
    model = Own(width)
    model.called = nets.NAME
    return model
"""
WEIGHTS = {"body.weight": torch.ones(4, 3), "body.bias": torch.zeros(4)}
ENCODER = Encoder(("user", "item"), (4, 4), 1, (), (), (), Path("none"), "encoder")


def project(root: Path, nets: str = "one", **changes: object) -> World:
    """A project with a recommender of its own, and a module that its factory imports."""
    own = {"factory": "models:make", "weights": "w.safetensors", "code": ["nets.py"], **changes}
    world = World(root, recommender=own, adapter={"at": "auto"})
    (root / "models.py").write_text(CODE)
    (root / "nets.py").write_text(f"NAME = '{nets}'")
    save_file(WEIGHTS, root / "w.safetensors")
    return world


def settings(world: World) -> RecommenderSettings:
    """The section of its params.yaml."""
    assert world.config.recommender is not None
    return world.config.recommender


def loaded(world: World) -> Recommender:
    """Its recommender."""
    return load_own(world.config, settings(world), ENCODER)[0]


def mark(world: World) -> str:
    """Its fingerprint."""
    return load_own(world.config, settings(world), ENCODER)[1].mark(settings(world))


def test_it_is_frozen_with_its_own_weights(tmp_path: Path) -> None:
    model = loaded(project(tmp_path))
    assert not model.training
    assert not any(each.requires_grad for each in model.parameters())
    assert torch.equal(model.get_parameter("body.weight"), torch.ones(4, 3))


def _other_weights(root: Path) -> None:
    save_file({**WEIGHTS, "body.bias": torch.ones(4)}, root / "w.safetensors")


def _other_code(root: Path) -> None:
    (root / "models.py").write_text(CODE + "\n# changed")


def _other_nets(root: Path) -> None:
    (root / "nets.py").write_text("NAME = 'changed'")


def _as_it_was(root: Path) -> None:
    for name in ("models.py", "nets.py", "w.safetensors"):
        os.utime(root / name, (1, 1))


CHANGES = {
    "weights": (_other_weights, {}, True),
    "the factory's file": (_other_code, {}, True),
    "code that is named": (_other_nets, {}, True),
    "options": (_as_it_was, {"options": {"note": "x"}}, True),
    "columns": (_as_it_was, {"columns": ["price"]}, True),
    "history": (_as_it_was, {"history": {"length": 3}}, True),
    "times of files": (_as_it_was, {}, False),
    "when it was trained": (_as_it_was, {"trained_until": "2026-03-03"}, False),
}


@pytest.mark.parametrize("name", CHANGES)
def test_the_fingerprint_is_of_what_makes_the_scores(name: str, tmp_path: Path) -> None:
    change, asked, differs = CHANGES[name]
    before = mark(project(tmp_path))
    world = project(tmp_path, **asked)
    change(tmp_path)
    assert (mark(world) != before) is differs


def test_the_fingerprint_is_the_same_in_another_folder(tmp_path: Path) -> None:
    project(tmp_path / "here")
    before = mark(World.at(tmp_path / "here"))
    shutil.move(tmp_path / "here", tmp_path / "there")
    assert mark(World.at(tmp_path / "there")) == before


def test_projects_with_modules_of_one_name_keep_their_own(tmp_path: Path) -> None:
    first, second = (project(tmp_path / name, nets=name) for name in ("a", "b"))
    code = (second.root / "models.py").read_text()
    (second.root / "models.py").write_text(code.replace("[:, 0]", "[:, 1]"))
    for world in (first, second, first):
        model = loaded(world)
        assert model.called == world.root.name
        assert Path(str(type(model).forward.__code__.co_filename)).parent == world.root


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_other_weights, "weights changed"),
        (_other_code, "code changed"),
        (lambda root: (_other_code(root), _other_weights(root)), "weights and code changed"),
        (lambda root: project(root, options={"note": "x"}), "its options, columns or history ch"),
    ],
)
def test_a_model_that_changed_is_refused(
    change: Callable[[Path], None], said: str, tmp_path: Path
) -> None:
    world, folder = project(tmp_path), tmp_path / "backbone"
    _, origin = load_own(world.config, settings(world), ENCODER)
    save_own(folder, origin, origin.mark(settings(world)), ENCODER.fingerprint, {})
    load_own_backbone(world.config, settings(world), folder, ENCODER)
    change(tmp_path)
    with pytest.raises(BackboneError) as refused:
        load_own_backbone(world.config, settings(world), folder, ENCODER)
    line = str(refused.value)
    assert f"not the model that was taken up ({said}" in line
    assert line.endswith("put it back, or take the new one up: driftune pretrain")
    assert "\n" not in line


def test_the_built_in_encoder_of_another_fit_is_refused(tmp_path: Path) -> None:
    world, folder = project(tmp_path), tmp_path / "backbone"
    _, origin = load_own(world.config, settings(world), ENCODER)
    save_own(folder, origin, origin.mark(settings(world)), "another", {})
    with pytest.raises(BackboneError, match="trained with another encoder"):
        load_own_backbone(world.config, settings(world), folder, ENCODER)


@pytest.mark.parametrize("wrap", [None, "state_dict", "model_state_dict"])
def test_state_dicts_of_torch_are_read(wrap: str | None, tmp_path: Path) -> None:
    world = project(tmp_path, weights="w.pt")
    torch.save(WEIGHTS if wrap is None else {wrap: WEIGHTS, "epoch": 3}, tmp_path / "w.pt")
    assert torch.equal(loaded(world).get_parameter("body.weight"), torch.ones(4, 3))


class Executed:
    """What unpickling would run."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, ("executed",)


REFUSED: dict[str, tuple[object, str]] = {
    "a pickled module": (nn.Linear(2, 2), "no readable weights (UnpicklingError: "),
    "a call": (Executed(), "no readable weights (UnpicklingError: "),
    "a number among tensors": ({**WEIGHTS, "epoch": 3}, "it holds something else than tensors"),
    "NaN": ({**WEIGHTS, "body.bias": torch.full((4,), torch.nan)}, "NaN or infinity in body.bias"),
    "a tensor too few": ({"body.bias": torch.ones(4)}, 'Missing key(s) in state_dict: "body.we'),
    "another shape": ({**WEIGHTS, "body.bias": torch.ones(5)}, "size mismatch for body.bias"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_files_are_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    value, said = REFUSED[name]
    monkeypatch.chdir(tmp_path)
    world = project(tmp_path, weights="w.pt")
    torch.save(value, tmp_path / "w.pt")
    with pytest.raises(BackboneError) as refused:
        loaded(world)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "executed").exists()


def test_named_code_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"recommender\.code: .*layers is not there"):
        loaded(project(tmp_path, code=["layers"]))


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
def test_weights_are_mapped_from_their_file(name: str, tmp_path: Path) -> None:
    world = project(tmp_path, weights=name)
    tensors: dict[str, Tensor] = dict(WEIGHTS)
    save_file(tensors, tmp_path / name) if name.endswith("s") else torch.save(
        tensors, tmp_path / name
    )
    model = loaded(world)
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("the system does not tell")
    ranges = [line.split() for line in maps.read_text().splitlines() if line.endswith(f"/{name}")]
    place = model.get_parameter("body.weight").data_ptr()
    bounds = [[int(end, 16) for end in each[0].split("-")] for each in ranges]
    assert any(low <= place < high for low, high in bounds)


def test_code_that_changed_is_what_runs(tmp_path: Path) -> None:
    world = project(tmp_path)
    before, first = mark(world), loaded(world)
    _other_nets(tmp_path)
    assert loaded(world).called == "changed"
    assert mark(world) != before
    assert type(loaded(world)) is type(loaded(world)) is not type(first)


def test_weights_that_change_while_they_are_read_are_not_mistaken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, plain, writes = project(tmp_path), sha256_of, [1, 0]

    def hashed(path: Path) -> str:
        if path.suffix == ".safetensors" and (not writes or writes.pop(0)):
            _other_weights(tmp_path)
        return plain(path)

    monkeypatch.setattr("driftune.models.own.sha256_of", hashed)
    assert torch.equal(loaded(world).get_parameter("body.bias"), torch.ones(4))
    with pytest.raises(BackboneError, match="changed while it was read; write new weights beside"):
        loaded(world)
