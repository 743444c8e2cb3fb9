"""Bundles in MLflow's registry: loaded by name and alias, they score as the bundle does."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from driftune.errors import RegistryError
from driftune.project import Project
from driftune.registry.ledger import Ledger
from driftune.registry.mlflow_mirror import client
from driftune.registry.rollback import rollback
from driftune.serving import Scorer
from driftune.serving.export import export
from driftune.serving.registered import register_bundle
from tests.crowning import KEY, crown, random_adapter
from tests.servers import free_port, serving

NAME = "driftune"
LOADED = """
import json, sys
import mlflow.pyfunc, pandas as pd
model = mlflow.pyfunc.load_model("models:/driftune@champion")
import driftune
inputs = model.metadata.signature.inputs
rows = pd.read_parquet(sys.argv[1])
found = model.predict(rows)
found.to_parquet(sys.argv[2])
example = model.input_example
print(json.dumps({
    "code": driftune.__file__,
    "columns": {each.name: [str(each.type), each.required] for each in inputs},
    "outputs": model.metadata.signature.outputs.input_names(),
    "example": model.predict(example).to_dict("records"),
}))
"""


def register(served, name: str = NAME) -> str:
    """Export what the ledger says now, and register it."""
    with Project(served.world.config) as project:
        export(project, served.bundle, served.world.day(2))
        return register_bundle(project, served.bundle, name)


def environment(served) -> dict[str, str]:
    """What finds the world's store of MLflow."""
    return {"MLFLOW_TRACKING_URI": f"sqlite:///{served.world.config.home / 'mlflow.db'}"}


def load(served, folder: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    """Load the champion in a process of its own, outside of the project, and score the rows."""
    rows, scored = folder / "rows.parquet", folder / "scored.parquet"
    served.rows.to_pandas().to_parquet(rows)
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ran = subprocess.run(
        [sys.executable, "-c", LOADED, str(rows), str(scored)], cwd=folder,
        env=env | environment(served), capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]
    return json.loads(ran.stdout.splitlines()[-1]), pd.read_parquet(scored)


@pytest.mark.slow
@pytest.mark.ci
def test_the_champion_loads_by_its_alias_and_scores_as_the_bundle_does(served, tmp_path):
    version = register(served)
    said, found = load(served, tmp_path)
    wanted = Scorer.open(served.bundle).score(served.rows).to_pandas(integer_object_nulls=True)
    pd.testing.assert_frame_equal(found, wanted)
    assert "/code/driftune/" in said["code"]
    assert said["columns"]["user_id"] == ["DataType.string", True]
    assert said["columns"]["shop"] == ["Any", True]
    assert said["columns"]["price"][1] is False and said["columns"]["event_time"][1] is False
    assert "click" not in said["columns"] and "ordered" not in said["columns"]
    assert said["outputs"] == list(wanted.columns)
    (example,) = said["example"]
    assert example["served_by"] == "adapter" and 0 < example["p_click"] < 1
    held = client(served.world.config).get_model_version(NAME, version)
    assert held.tags["bundle"] == Scorer.open(served.bundle).info()["bundle"]


@pytest.mark.slow
@pytest.mark.ci
def test_a_rollback_gives_the_alias_back_to_the_version_of_that_bundle(served):
    config, registry = served.world.config, client(served.world.config)

    def champion() -> str:
        return str(registry.get_model_version_by_alias(NAME, "champion").version)

    first = register(served)
    assert register(served) == first
    crown(served.world, random_adapter(served.world, scale=3), config.reference.days, 2)
    second = register(served)
    assert second != first
    assert champion() == second
    with Ledger(config) as ledger:
        rollback(config, ledger, KEY, None, "complaints")
    assert register(served) == first
    assert champion() == first
    assert len(registry.search_model_versions(f"name = '{NAME}'")) == 2
    tags = {each.tags["bundle"] for each in registry.search_model_versions(f"name = '{NAME}'")}
    assert len(tags) == 2


@pytest.mark.slow
@pytest.mark.ci
def test_what_mlflow_refuses_is_one_line(served):
    with pytest.raises(RegistryError, match="a/b: MLflow refused the bundle") as error:
        register(served, "a/b")
    assert "\n" not in str(error.value)


@pytest.mark.slow
@pytest.mark.ci
def test_mlflow_models_serve_answers(served, tmp_path):
    import urllib.request

    register(served)
    port = free_port()
    module = ("mlflow", "models", "serve", "-m", f"models:/{NAME}@champion")
    options = ("--env-manager", "local", "--port", str(port), "--host", "127.0.0.1")
    url = f"http://127.0.0.1:{port}"
    env = environment(served) | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    rows = served.rows.slice(0, 20)
    records = json.loads(json.dumps(rows.to_pylist(), default=str))
    with serving(tmp_path / "serve.log", *module, *options, url=f"{url}/ping", env=env):
        body = json.dumps({"dataframe_records": records}).encode()
        asked = urllib.request.Request(
            f"{url}/invocations", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(asked, timeout=60) as answer:
            found = json.loads(answer.read())["predictions"]
    wanted = Scorer.open(served.bundle).score(records).to_pylist()
    assert [row["p_click"] for row in found] == [row["p_click"] for row in wanted]


@pytest.mark.slow
@pytest.mark.ci
def test_the_command_registers_with_a_place_or_without(served):
    def driftune(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "driftune.cli", *command], cwd=served.world.root,
            capture_output=True, text=True,
        )  # fmt: skip

    ran = driftune("export", "--mlflow", NAME, "--json")
    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout)
    assert said["mlflow"] == {"model": NAME, "version": "1"}
    held = client(served.world.config).get_model_version_by_alias(NAME, "champion")
    assert held.tags["bundle"] == said["bundle"]
    ran = driftune("export")
    assert ran.returncode == 2 and "--mlflow" in ran.stderr
