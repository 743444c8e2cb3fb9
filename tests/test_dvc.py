"""The DVC project in a fresh clone: pull, reproduce, and reproduce again."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from driftune.io import read_json

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
TRACKED = (
    ".dvc/config",
    ".dvcignore",
    "dvc.yaml",
    "dvc.lock",
    "data.dvc",
    "dvc-remote",
    "params.yaml",
    "src",
)


# As on a processor that has none but the oldest vector instructions.
OLDEST = {
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_CBWR": "COMPATIBLE",
    "DNNL_MAX_CPU_ISA": "SSE41",
}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What git holds of the DVC project, in a repository of its own."""
    folder = tmp_path / "clone"
    for name in TRACKED:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, target)
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    return folder


def dvc(folder: Path, *arguments: str, **kernels: str) -> str:
    """Run DVC in a folder and return what it says."""
    env = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", **kernels}
    done = subprocess.run(
        [str(BIN / "dvc"), *arguments],
        cwd=folder, env=env, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.ci
def test_a_fresh_clone_pulls(clone: Path) -> None:
    dvc(clone, "pull")
    assert len(list((clone / "data").glob("impressions-*.parquet"))) == 10


def test_the_lock_file_is_that_of_this_data_code_and_parameters(clone: Path) -> None:
    """Else ``make demo`` leaves a fresh clone changed: then run ``dvc repro`` and commit it."""
    dvc(clone, "pull")
    changed = {}
    for stage, found in json.loads(dvc(clone, "status", "--json")).items():
        for each in found:
            # Outs are not there before the first run.
            deps = {k: v for k, v in each.get("changed deps", {}).items() if v != "deleted"}
            changed |= {f"{stage}: {name}": what for name, what in deps.items()}
    assert changed == {}


@pytest.mark.slow
def test_the_lock_file_is_the_same_whatever_kernels_the_processor_has(clone: Path) -> None:
    before = (clone / "dvc.lock").read_bytes()
    dvc(clone, "pull")
    made = []
    for kernels in ({}, OLDEST):
        shutil.rmtree(clone / "workspace", ignore_errors=True)
        dvc(clone, "repro", **kernels)
        assert (clone / "dvc.lock").read_bytes() == before
        made.append(read_json(clone / "workspace" / "model" / "metrics.json"))
    one, other = made
    assert one == pytest.approx(other, abs=0.02)


@pytest.mark.slow
def test_what_was_reproduced_is_not_reproduced_again(clone: Path) -> None:
    dvc(clone, "pull")
    dvc(clone, "repro")
    model = clone / "workspace" / "model"
    assert read_json(model / "metrics.json")["ctr_auc"] > 0.5
    made = {path: path.stat().st_mtime_ns for path in model.rglob("*")}
    assert "up to date" in dvc(clone, "repro")
    dvc(clone, "pull")
    assert {path: path.stat().st_mtime_ns for path in model.rglob("*")} == made
