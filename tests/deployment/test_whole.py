"""``driftune doctor --deep``: each damaged file is named, and what can be made anew is dropped."""

from pathlib import Path

import pytest

from driftune.config.workspace import Workspace
from driftune.deployment.doctor import examine
from driftune.deployment.whole import whole_files
from driftune.features.days import encode_day
from driftune.lake.table import Lake
from driftune.models.adapters import Adapter, IAKConfig, IAKKernel
from driftune.training.pretrain import load_model
from tests.conftest import World
from tests.crowning import crown


@pytest.fixture
def kept(trained_world: World) -> World:
    """A pre-trained world with a champion."""
    _, model, _ = load_model(trained_world.config)
    adapter = Adapter({"representation": IAKKernel(model.representation.width, IAKConfig(2, 4))})
    crown(trained_world, adapter.eval(), [trained_world.day(2)])
    return trained_world


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def problems(world: World, *, mend: bool = False) -> list[str]:
    found = whole_files(world.config, mend=mend)
    return [finding["what"] for finding in found if not finding["ok"]]


def test_every_kind_of_damaged_file_is_named(kept: World) -> None:
    assert problems(kept) == []
    workspace, day = Workspace(kept.config), kept.day(1)
    (adapter,) = workspace.adapters.glob("*/*/adapter.safetensors")
    (lake,) = Lake.of(kept.config).paths(day)
    records = (workspace.quality(day), workspace.quality_profile(day), workspace.columns(day))
    damaged = [lake, sorted(workspace.features.glob("*.parquet"))[0], *records]
    for path in [*damaged, adapter]:
        flip(path)
    found = problems(kept)
    assert len(found) == len(damaged) + 1
    for path in [*damaged, adapter.parent]:
        assert any(str(path) in what for what in found), path
    deep = [finding["what"] for finding in examine(kept.config, deep=True)]
    assert set(found) <= set(deep)
    assert not set(found) & {finding["what"] for finding in examine(kept.config)}


def test_damaged_caches_are_dropped_and_made_anew(kept: World) -> None:
    encoder, _, _ = load_model(kept.config)
    path = encode_day(kept.config, encoder, kept.day(1))
    before = path.read_bytes()
    flip(path)
    (what,) = problems(kept)
    assert str(path) in what
    assert problems(kept, mend=True) == []
    assert not path.exists()
    assert encode_day(kept.config, encoder, kept.day(1)).read_bytes() == before
    assert problems(kept) == []
