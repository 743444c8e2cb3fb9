"""Champions of long ago: those that no rollback leads back to go, from MLflow too."""

import time
from types import SimpleNamespace

import pytest
import torch

from driftune.config.workspace import Workspace
from driftune.errors import RegistryError
from driftune.models.adapters import Adapter, IAKConfig, IAKKernel
from driftune.registry.champions import adapter_folder, champions_for
from driftune.registry.ledger import Ledger
from driftune.registry.mlflow_mirror import client, mirror, model_name, register
from driftune.registry.rollback import rollback
from driftune.registry.schema import adapters
from driftune.retention.prune import plan, prune
from driftune.training.pretrain import load_model
from tests.conftest import World
from tests.crowning import DOMAIN, KEY, crown


@pytest.fixture
def taken_back(trained_world: World) -> World:
    """Three versions of a domain, all in MLflow; the third was rolled back to the second."""
    config = trained_world.config
    _, model, backbone = load_model(config)
    for version in (1, 2, 3):
        with torch.random.fork_rng():
            torch.manual_seed(version)
            kernel = IAKKernel(model.representation.width, IAKConfig(4, 8, "residual"))
        adapter = Adapter({"representation": kernel}).eval()
        sha256 = crown(trained_world, adapter, [trained_world.day(2)], version)
        decision = SimpleNamespace(
            id=f"decision {version}", domain=DOMAIN, domain_key=KEY, day="2026-03-04",
            backbone=backbone, data_version="v",
        )  # fmt: skip
        folder = adapter_folder(config, KEY, version, sha256)
        held = register(config, decision, folder=folder, sha256=sha256, version=version, gate=None)
        with Ledger(config) as ledger, ledger.write() as connection:
            connection.execute(
                adapters.update().where(adapters.c.version == version).values(mlflow_version=held)
            )
    with Ledger(config) as ledger:
        rollback(config, ledger, KEY, None, "worse")
    return trained_world


def versions(world: World) -> dict[str, str]:
    """MLflow's versions of the domain and the files of their runs."""
    found = client(world.config).search_model_versions(f"name = '{model_name(KEY)}'")
    return {str(each.version): each.run_id for each in found}


def test_a_version_that_no_rollback_leads_to_goes_from_disk_and_mlflow(taken_back: World) -> None:
    changed = World(taken_back.root, retention={"adapters": 30})
    config, before = changed.config, versions(changed)
    assert sorted(before) == ["1", "2", "3"]
    with Ledger(config) as ledger:
        now = time.time()
        assert [each.kind for each in plan(config, ledger, now + 29 * 86400)[0]] == []
        dropped, kept = prune(config, ledger, now + 31 * 86400)
        assert [(each.kind, each.version) for each, _ in dropped] == [("adapters", 3)]
        assert any("rollback leads back" in each.why for each in kept)
        assert sorted(versions(changed)) == ["1", "2"]
        assert not (config.home / "mlflow" / before["3"]).exists()
        assert (config.home / "mlflow" / before["2"]).exists()
        assert prune(config, ledger, now + 31 * 86400)[0] == []
        _, _, backbone = load_model(config)
        (champion,) = champions_for(config, ledger, backbone, [KEY])[0].values()
        assert champion.serves == 2
        assert mirror(config, ledger, KEY)
        with pytest.raises(RegistryError, match="version 3 cannot serve"):
            rollback(config, ledger, KEY, 3, "again")
        assert rollback(config, ledger, KEY, None, "worse").version == 1


def test_by_default_every_champion_is_kept(taken_back: World) -> None:
    with Ledger(taken_back.config) as ledger:
        dropped, kept = prune(taken_back.config, ledger, time.time() + 10_000 * 86400)
    assert "adapters" not in {each.kind for each, _ in dropped}
    assert any("retention.adapters is null" in each.why for each in kept)
    assert len(list((Workspace(taken_back.config).adapters / KEY).iterdir())) == 3
