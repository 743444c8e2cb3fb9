"""The project's own files agree with each other."""

import ast
import re
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest
import yaml

from driftune.config import Config
from driftune.config.loading import TRACKED
from driftune.training import pretrain

ROOT = Path(__file__).parents[1]


def test_dvc_tracks_exactly_what_the_environment_may_not_override() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    tracked = {name for stage in stages.values() for name in stage["params"]}
    assert tracked == set(TRACKED)
    assert tracked <= set(Config.model_fields)
    for stage in stages.values():
        for path in stage["deps"]:
            assert path.startswith(("workspace/", "data")) or (ROOT / path).exists(), path


def test_the_pipeline_depends_on_the_code_that_it_runs() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    named = {ROOT / path for stage in stages.values() for path in stage["deps"]}
    parts = ("driftune.training", "driftune.models")
    used = {
        Path(str(sys.modules[value.__module__].__file__))
        for value in vars(pretrain).values()
        if str(getattr(value, "__module__", "")).startswith(parts)
    }
    names = {path.name for path in used}
    assert {"pretrain.py", "rows.py", "scoring.py", "backbone.py"} < names
    assert {path.relative_to(path.parents[3]) for path in used if path not in named} == set()


@pytest.mark.slow
@pytest.mark.ci
def test_below_the_command_line_the_library_knows_no_prefect() -> None:
    cli = ROOT / "src" / "driftune" / "cli"
    for path in set((ROOT / "src").rglob("*.py")) - set(cli.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert not any(name.split(".")[0] == "prefect" for name in names), path


def test_no_test_helper_hides_a_module_of_python() -> None:
    # pytest puts each folder that is no package on the path; a process that a test starts looks
    # there first.
    files = (ROOT / "tests").glob("*/**/*.py")
    names = {path.stem for path in files if not (path.parent / "__init__.py").exists()}
    assert names & sys.stdlib_module_names == set()


def test_every_dependency_is_locked() -> None:
    def plain(name: str) -> str:
        return re.split(r"[\s\[<>=!~;]", name)[0].lower().replace("_", "-")

    locked = {
        plain(line)
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line and not line.startswith("#")
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    assert {plain(name) for name in wanted} <= locked
