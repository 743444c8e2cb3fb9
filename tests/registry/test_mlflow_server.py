"""MLflow as a server of its own, its artifacts in an object store."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import s3fs

from driftune.adaptation.claim import Claim
from driftune.adaptation.conclude import conclude
from driftune.config import Config
from driftune.errors import RegistryError
from driftune.models.adapters import load_adapter
from driftune.project import Project
from driftune.registry.champions import adapter_folder
from driftune.registry.ledger import Ledger
from driftune.registry.mlflow_mirror import client, mirrored, model_name
from driftune.registry.reconcile import reconcile
from driftune.registry.records import TrainingFigures
from driftune.registry.rollback import rollback
from tests.conftest import World
from tests.registry.conftest import KEY, Decide, challenger, report
from tests.servers import LOGIN, free_port, mlflow_server


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def config(make_world: Callable[..., World], port: int) -> Config:
    return make_world(registry={"mlflow": f"http://127.0.0.1:{port}"}).config


def promote(config: Config, ledger: Ledger, decision: str, champion: int = 0) -> str:
    owner = ledger.claim(decision)
    assert owner is not None
    challenger(config, decision, seed=champion)
    return conclude(
        Project(config, ledger),
        Claim(decision, owner),
        TrainingFigures(),
        report(champion=champion),
    )


@pytest.mark.slow
@pytest.mark.ci
def test_a_server_keeps_versions_and_their_files_in_a_bucket(
    config: Config,
    ledger: Ledger,
    decide: Decide,
    store: str,
    port: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A server that is away is asked so often.
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    login = {"key": LOGIN["AWS_ACCESS_KEY_ID"], "secret": LOGIN["AWS_SECRET_ACCESS_KEY"]}
    files = s3fs.S3FileSystem(endpoint_url=store, skip_instance_cache=True, **login)
    files.mkdir("models")
    with mlflow_server(tmp_path, store, "models", port):
        assert promote(config, ledger, decide()) == "promoted"
        assert mirrored(config, ledger)[KEY] == ("1", "1")
        (kept,) = client(config).search_model_versions(f"name='{model_name(KEY)}'")
        here = adapter_folder(config, KEY, 1, ledger.adapter(KEY, 1).sha256).iterdir()
        there = {Path(path).name for path in files.find("models/mlflow")}
        assert kept.version == "1" and {path.name for path in here} <= there
        shutil.rmtree(config.home / "adapters")
        assert [each["ok"] for each in reconcile(config, ledger)["files"]] == [True]
        load_adapter(adapter_folder(config, KEY, 1, ledger.adapter(KEY, 1).sha256), backbone=None)
    later = decide(day="2026-03-11")
    with pytest.raises(RegistryError, match="MLflow") as error:
        promote(config, ledger, later, champion=1)
    assert "\n" not in str(error.value)
    assert ledger.champion_version(KEY) == 1
    with mlflow_server(tmp_path, store, "models", port):
        assert ledger.decision(later).state == "claimed"
        rollback(config, ledger, KEY, None, "a test")
        assert ledger.champion_version(KEY) == 0
        assert mirrored(config, ledger)[KEY] == (None, None)
        found = [each for part in reconcile(config, ledger).values() for each in part]
        assert all(each.get("ok", True) for each in found)
