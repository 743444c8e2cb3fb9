"""The package can be used alone."""

import os
import subprocess
import sys
from pathlib import Path

import driftune

CODE = """
import sys
before = set(sys.modules)
import torch, safetensors.torch
libraries = set(sys.modules)
import driftune.models.adapters
print(" ".join(sorted(set(sys.modules) - libraries)))
print(" ".join(sorted(set(sys.modules) - before)))
"""


def test_package_pulls_in_torch_and_safetensors_only() -> None:
    source = str(Path(driftune.__file__).parents[1])
    ran = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=True,
    )
    added, everything = (set(line.split()) for line in ran.stdout.splitlines())
    ours = {name for name in added if name.split(".")[0] == "driftune"}
    foreign = {"pandas", "prefect", "pydantic", "mlflow", "pyarrow", "duckdb", "sqlalchemy"}
    assert {name for name in ours if not name.startswith("driftune.models.adapters")} == {
        "driftune",
        "driftune.models",
    }
    assert not foreign & {name.split(".")[0] for name in everything}
