"""scripts/setup.sh: what it asks pip for. The script is run; pip's arguments are written down."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Stands for the interpreter of an empty environment (-S: it sees no package): notes each call of
# pip, with the file it is given.
PYTHON = """\
#!/bin/sh
if [ "$1" != -m ]; then exec {real} -S "$@"; fi
{{ echo "$@"; for each in "$@"; do case $each in *.driftune-lock) cat "$each" ;; esac; done
  echo ----; }} >>{calls}
"""


@dataclass
class SetUp:
    """A set-up in a folder of its own."""

    folder: Path

    def run(self, torch_index: str = "", have_torch: str = "", **more: str) -> list[str]:
        """What pip was called with, call for call."""
        venv, calls = self.folder / "venv", self.folder / "calls"
        (venv / "bin").mkdir(parents=True, exist_ok=True)
        python = venv / "bin/python"
        python.write_text(PYTHON.format(real=sys.executable, calls=calls))
        python.chmod(0o755)
        if have_torch:
            about = venv / "lib/python3.11/site-packages/torch-9.dist-info/METADATA"
            about.parent.mkdir(parents=True, exist_ok=True)
            about.write_text(have_torch)
        calls.write_text("")
        chosen = {"PYTHON": sys.executable, "TORCH_INDEX": torch_index, "VENV": str(venv)} | more
        command = ["sh", str(ROOT / "scripts/setup.sh")]
        subprocess.run(command, cwd=ROOT, env=os.environ | chosen, check=True, capture_output=True)
        return calls.read_text().split("----\n")[:-1]


def test_files_are_held_to_hashes_and_the_project_comes_alone(tmp_path: Path) -> None:
    build, choice, torch, rest, project = SetUp(tmp_path).run()
    for call in (build, torch, rest):
        first = call.splitlines()[0]
        assert "--require-hashes --no-deps --no-build-isolation" in first
    assert "hatchling==" in build and "torch==" not in build
    # pip chooses a build of torch as it does alone; then the file is held to its hash.
    version = choice.split("torch==")[1].strip()
    assert "pip download" in choice and "--require-hashes" not in choice
    assert "--no-index --find-links" in torch and f"\ntorch=={version} " in torch
    assert "pandas==" not in torch
    assert all(f"\n{name}==" in rest for name in ("torch", "mlflow", "pytest", "mkdocs", "ray"))
    assert "gcsfs==" not in rest and "peft==" not in rest and "nvidia-" not in rest
    assert "--no-deps --no-build-isolation --editable ." in project


@pytest.mark.slow
@pytest.mark.ci
def test_libraries_of_cuda_come_with_a_build_that_names_them(tmp_path: Path) -> None:
    plain = "Name: torch\nRequires-Dist: sympy\n"
    assert len(SetUp(tmp_path / "cpu").run(have_torch=plain)) == 5
    cuda = f"{plain}Requires-Dist: nvidia-cublas==1; platform_system == 'Linux'\n"
    *_, libraries, _ = SetUp(tmp_path / "cuda").run(have_torch=cuda)
    assert "--require-hashes" in libraries and "nvidia-cublas==" in libraries
    assert "pandas==" not in libraries


def test_another_build_of_torch_takes_the_versions_without_hashes(tmp_path: Path) -> None:
    (only,) = SetUp(tmp_path).run(torch_index="file:///builds")
    assert "--extra-index-url file:///builds --constraint constraints.txt" in only
    assert (
        "--require-hashes" not in only
        and "--editable .[dev,docs,examples,onnx,postgres,ray]" in only
    )


def test_an_image_has_its_extras_and_a_copy_of_the_project(tmp_path: Path) -> None:
    *_, rest, project = SetUp(tmp_path).run(EXTRAS="postgres,objects", EDITABLE="")
    assert "psycopg==" in rest and "gcsfs==" in rest and "pytest==" not in rest
    assert project.split()[-1] == "." and "--editable" not in project


def test_the_image_that_serves_has_what_scores_need_alone(tmp_path: Path) -> None:
    *_, rest, project = SetUp(tmp_path).run(BASE="serve", EXTRAS="", EDITABLE="")
    needed = ("torch", "pyarrow", "safetensors", "fastapi", "uvicorn", "prometheus-client", "s3fs")
    assert all(f"\n{name}==" in rest for name in needed) and "--require-hashes" in rest
    assert not any(f"\n{name}==" in rest for name in ("prefect", "mlflow", "pandas", "dvc", "ray"))
    assert "--no-deps" in project and project.split()[-1] == "."


def test_a_second_set_up_does_nothing_until_another_build_is_asked_for(tmp_path: Path) -> None:
    here = SetUp(tmp_path)
    assert len(here.run()) == 5
    assert here.run() == []
    assert len(here.run(torch_index="file:///builds")) == 1
