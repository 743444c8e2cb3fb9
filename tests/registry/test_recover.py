"""Champions whose files are gone or damaged: back from MLflow, or named with what to do."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from driftune.adaptation.claim import Claim
from driftune.adaptation.conclude import conclude
from driftune.config import Config
from driftune.deployment.doctor import examine
from driftune.models.adapters import load_adapter
from driftune.project import Project
from driftune.registry.champions import adapter_folder
from driftune.registry.ledger import Ledger
from driftune.registry.reconcile import reconcile
from tests.marks import CI
from tests.registry.conftest import BACKBONE, KEY, Decide, challenger, report

# The files are the same, whatever the ledger's database.
pytestmark = pytest.mark.parametrize(
    "config", ["sqlite", pytest.param("postgresql", marks=CI)], indirect=True
)


def gone(folder: Path) -> None:
    shutil.rmtree(folder)


def halved(folder: Path) -> None:
    file = folder / "adapter.safetensors"
    file.write_bytes(file.read_bytes()[:100])


def no_card(folder: Path) -> None:
    (folder / "card.json").unlink()


@pytest.fixture
def folder(config: Config, ledger: Ledger, decide: Decide, mlflow_store: None) -> Path:
    """The files of a champion that MLflow has, too."""
    decision = decide()
    owner = ledger.claim(decision)
    assert owner is not None
    challenger(config, decision)
    assert conclude(Project(config, ledger), Claim(decision, owner), None, report()) == "promoted"
    record = ledger.adapter(KEY, 1)
    assert record is not None
    return adapter_folder(config, KEY, 1, record.sha256)


@pytest.mark.parametrize("damage", [gone, halved, no_card])
@pytest.mark.slow
@pytest.mark.ci
def test_files_that_are_lost_come_back(
    config: Config, ledger: Ledger, folder: Path, damage: Callable[[Path], None]
) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    damage(folder)
    (found,) = reconcile(config, ledger)["files"]
    assert found["ok"]
    assert "version 1 is back from MLflow" in found["what"]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    load_adapter(folder, backbone=BACKBONE)
    assert [each.name for each in folder.parent.iterdir()] == [folder.name]
    assert reconcile(config, ledger)["files"] == []


def test_the_doctor_brings_them_back_only_where_it_mends(
    config: Config, ledger: Ledger, folder: Path
) -> None:
    gone(folder)
    examine(config)
    assert not folder.exists()
    examine(config, mend=True)
    assert folder.exists()


def test_files_that_mlflow_lacks_too_are_named_with_what_to_do(
    config: Config, ledger: Ledger, folder: Path
) -> None:
    gone(folder)
    shutil.rmtree(config.home / "mlflow")
    (found,) = reconcile(config, ledger)["files"]
    assert not found["ok"]
    assert "version 1 does not serve" in found["what"]
    assert "it lacks the version's files" in found["what"]
    assert f"driftune rollback {KEY}" in found["what"]
    assert "\n" not in found["what"]
    assert list(folder.parent.iterdir()) == []


def test_files_of_another_adapter_are_not_taken(
    config: Config, ledger: Ledger, folder: Path
) -> None:
    gone(folder)
    other = challenger(config, "another", seed=9)
    (card,) = (config.home / "mlflow").rglob("card.json")
    shutil.copytree(other, card.parent, dirs_exist_ok=True)
    (found,) = reconcile(config, ledger)["files"]
    assert not found["ok"]
    assert "another adapter" in found["what"]
    assert not folder.exists()
