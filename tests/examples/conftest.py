"""Worlds of the recommenders in examples/: simulated days, one of which shifts a domain."""

import ast
import importlib
import shutil
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pytest
import torch
import yaml

from driftune.intake.ingest import ensure_reference, ingest
from driftune.models.recommender import Recommender, Schema
from driftune.registry.ledger import Ledger
from driftune.simulate import simulate
from driftune.training.pretrain import pretrain
from tests.checkpoint import judged_plainly
from tests.conftest import World, impressions, made_once
from tests.shifts import shifting

EXAMPLES = Path(__file__).parents[2] / "examples"
SIMULATION = shifting(5, date(2026, 3, 6), 3.5)
*REFERENCE, SHIFT_DAY = SIMULATION.calendar


def docstring(name: str) -> str:
    """What an example says of itself."""
    return ast.get_docstring(ast.parse((EXAMPLES / f"{name}.py").read_text("utf-8"))) or ""


def settings(name: str) -> dict[str, Any]:
    """The sections that an example's docstring says to write into params.yaml."""
    (block,) = (part for part in docstring(name).split("::\n\n")[1:])
    lines = block.split("\n\n")[0]
    sections: dict[str, Any] = yaml.safe_load(textwrap.dedent(lines))
    return sections


def project(folder: Path, name: str) -> World:
    """A project with the example's files in its folder, and its params.yaml as they say."""
    said = settings(name)
    for file in ("outside.py", f"{name}.py"):
        shutil.copy(EXAMPLES / file, folder)
    return World(
        folder,
        source={"uri": "logs/impressions-{day}.parquet"},
        reference={"first": str(REFERENCE[0]), "last": str(REFERENCE[-1]), "holdout": 0.1},
        recommender=said["recommender"],
        adapter={
            "epochs": 20, "batch_size": 64, "learning_rate": 0.01,
            "hidden": 32, "bottleneck": 8, "train_days": 2, **said["adapter"],
        },
        # Limits far from what this world does, whatever the processor.
        drift={"confirm": {"days": 2, "of": 3, "p": 1e-6}},
        gate={"looks": 1, "calibration_band": [0.4, 2.5], **said.get("gate", {})},
    )  # fmt: skip


def imported(folder: Path, name: str) -> ModuleType:
    """The example as ``python NAME.py`` in the folder has it."""
    for module in ("outside", name):
        sys.modules.pop(module, None)
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(folder))


@pytest.fixture(scope="session")
def _days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The simulated logs, in the lake: what all examples share."""

    def make(folder: Path) -> None:
        world = project(folder, "dlrm")
        simulate(SIMULATION, folder / "logs")
        with judged_plainly(), Ledger(world.config) as ledger:
            ensure_reference(world.config, ledger)
            ingest(world.config, ledger, SHIFT_DAY)

    return made_once(tmp_path_factory, "examples", make)


@pytest.fixture(scope="session")
def _taken_up(_days: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A factory of projects whose recommender was trained outside and taken up, each made once."""

    def taken_up(name: str) -> Path:
        def make(folder: Path) -> None:
            world = project(folder, name)
            logs = [folder / "logs" / f"impressions-{day}.parquet" for day in REFERENCE]
            imported(folder, name).train(logs)
            with Ledger(world.config) as ledger:
                pretrain(world.config, ledger)

        return made_once(tmp_path_factory, f"examples-{name}", make, _days)

    return taken_up


@pytest.fixture
def taken_up(_taken_up: Callable[[str], Path], tmp_path: Path) -> Callable[[str], World]:
    """A factory of copies of such projects."""
    return lambda name: World.copied(_taken_up(name), tmp_path / name)


@dataclass(frozen=True)
class Tried:
    """An example with weights that nothing trained: its module, its model, and rows for it."""

    module: ModuleType
    model: Recommender
    table: pa.Table


@pytest.fixture
def tried(tmp_path: Path) -> Callable[[str], Tried]:
    """A factory of untrained examples, with rows of a day of logs and pasts of 20 clicks."""

    def made(name: str) -> Tried:
        project(tmp_path, name)
        path = tmp_path / "day.parquet"
        impressions(date(2026, 3, 2), 400).to_parquet(path)
        module = imported(tmp_path, name)
        table = module.read_logs([path], 20)
        module.write_vocabulary(tmp_path / "values.json", table, module.FIELDS)
        torch.manual_seed(1)
        model = module.make(Schema((), (), (), (), 20), "values.json").eval()
        return Tried(module, model, table)

    return made
