"""The counters of a bundle as feature stores read them: the very numbers that the model reads."""

import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from driftune.errors import BundleError
from driftune.project import Project
from driftune.serving import Scorer
from driftune.serving.manifest import read_manifest
from driftune.serving.online import write_features
from driftune.serving.publish import export_to
from driftune.serving.rows import as_table

EXAMPLE = Path(__file__).parents[2] / "examples" / "features.py"
LOOKED_UP = """
import json, sys
from feast import FeatureStore
store = FeatureStore(repo_path=sys.argv[1])
view, keys = sys.argv[2], json.loads(sys.argv[3])
names = [field.name for field in store.get_feature_view(view).features]
found = store.get_online_features([f"{view}:{name}" for name in names], keys).to_dict()
print(json.dumps({name: found[name] for name in names}))
"""


def test_the_figures_of_each_key_are_those_that_the_model_reads(read_only, tmp_path):
    files = write_features(read_only.bundle, tmp_path / "features")
    now = Scorer.open(read_only.bundle)._now
    given = now.read(as_table(read_only.rows))
    numbers = now.encode(given).numbers.numpy()
    said = json.loads((tmp_path / "features" / "features.json").read_text())
    assert said["bundle"] == now.manifest.bundle and len(said["views"]) == len(files) > 1
    found = unknown = 0
    for view in said["views"]:
        table = pq.read_table(tmp_path / "features" / view["file"])
        key, names = view["key"], table.column_names[len(view["key"]) : -1]
        assert table.column_names == [*key, *names, "event_timestamp"]
        assert names and view["unseen"].keys() == set(names)
        assert table["event_timestamp"].unique().to_pylist() == [
            datetime.fromtimestamp(now.manifest.ends / 1e6, UTC)
        ]
        known = {
            tuple(row[name] for name in key): [row[name] for name in names]
            for row in table.to_pylist()
        }
        assert len(known) == table.num_rows > 0
        columns = [now.card.numbers.index(name) for name in names]
        for row in range(0, len(given), 7):
            had = known.get(tuple(text(given, name, row) for name in key))
            found, unknown = found + (had is not None), unknown + (had is None)
            wanted = [view["unseen"][name] for name in names] if had is None else had
            assert np.array_equal(numbers[row, columns], np.array(wanted, dtype=np.float32))
    assert found > 100 and unknown > 10


def text(given, name, row):
    """What a row has of a field, as text."""
    if name == "domain":
        return given.keys[given.domain.codes[row]]
    code = given.ids[name].codes[row]
    return None if code < 0 else given.ids[name].values[code]


def test_an_export_writes_them_without_a_bundle_too(served, tmp_path):
    last = read_manifest(served.bundle).day
    with Project(served.world.config) as project:
        found, _ = export_to(project, None, last, features=tmp_path / "features")
    said = json.loads((tmp_path / "features" / "features.json").read_text())
    assert (said["bundle"], said["day"]) == (found.bundle, str(last))
    (tmp_path / "taken").write_text("")
    with pytest.raises(BundleError, match="taken: is no folder"):
        write_features(served.bundle, tmp_path / "taken")


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.skipif(
    "FEAST_PYTHON" not in os.environ,
    reason="Feast does not install beside the lock (it asks for tenacity<9): FEAST_PYTHON names "
    "an interpreter that has it",
)
def test_feast_serves_the_figures_of_a_key(read_only, tmp_path):
    files = write_features(read_only.bundle, tmp_path / "features")
    python = os.environ["FEAST_PYTHON"]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*given: str) -> str:
        ran = subprocess.run(
            [python, "-W", "ignore", *given], cwd=tmp_path, env=env, capture_output=True, text=True
        )
        assert ran.returncode == 0, ran.stderr[-3000:]
        return ran.stdout

    run(str(EXAMPLE), "features", "repo")
    said = json.loads((tmp_path / "features" / "features.json").read_text())["views"]
    for view, path in zip(said, files, strict=True):
        rows = pq.read_table(path).slice(0, 5).to_pylist()
        keys = {name: [*(row[name] for row in rows), "nobody"] for name in view["key"]}
        name = "by_" + "_".join(view["key"])
        found = json.loads(run("-c", LOOKED_UP, "repo", name, json.dumps(keys)).splitlines()[-1])
        for figure in view["unseen"]:
            assert found[figure] == [*(row[figure] for row in rows), None]
