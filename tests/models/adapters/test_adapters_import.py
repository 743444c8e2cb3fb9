"""The package can be used alone."""

import os
import re
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import driftune

CODE = """
import sys
import torch, numpy, safetensors.torch
libraries = set(sys.modules)
from driftune.models.adapters import Examples, IAKConfig, TrainConfig, attach, click_rows, train
model = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 1))
adapted = attach(model, IAKConfig(2, 4), "1", ["a"])
rows = Examples((torch.randn(64, 4),), (torch.ones(64),), torch.zeros(64, dtype=torch.long))
train(adapted, rows, rows, TrainConfig(epochs=1), loss=click_rows)
adapted.save("a", sys.argv[1], {})
adapted.load("a", sys.argv[1])
print(" ".join(sorted(set(sys.modules) - libraries)))
"""


def test_package_pulls_in_torch_numpy_and_safetensors_only(tmp_path: Path) -> None:
    source = str(Path(driftune.__file__).parents[1])
    ran = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path / "a")],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=True,
    )
    added = set(ran.stdout.split())
    ours = {name for name in added if name.split(".")[0] == "driftune"}
    assert {name for name in ours if not name.startswith("driftune.models.adapters")} == {
        "driftune",
        "driftune.models",
    }
    needed = {re.split(r"[^\w-]", line)[0].replace("-", "_") for line in requires("driftune") or []}
    foreign = {*needed, "pandas", "pyarrow"} - {"torch", "numpy", "safetensors"}
    assert {"prefect", "duckdb", "great_expectations", "pydantic"} <= foreign
    assert not {name.split(".")[0] for name in added} & foreign
