"""What the pages on serving and on backups show works: champions load, a copy is enough."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from driftune.deployment.doctor import examine
from driftune.project import Project
from driftune.registry.ledger import Ledger
from driftune.registry.rollback import rollback
from driftune.serving.export import export
from tests.conftest import World
from tests.crowning import KEY, crown, random_adapter
from tests.docs.test_named_and_shown import ROOT, blocks

SERVE = ROOT / "docs/howto/serve.md"


def run_block(folder: Path, monkeypatch: pytest.MonkeyPatch, count: int = 1) -> dict[str, Any]:
    """Run the first of the page's two Python blocks in a project's folder; returns its names."""
    monkeypatch.chdir(folder)
    codes = blocks(SERVE, "python")
    assert len(codes) == 2
    values: dict[str, Any] = {}
    for code in codes[:count]:
        exec(compile(code, str(SERVE), "exec"), values)
    return values


@pytest.mark.slow
@pytest.mark.ci
def test_the_example_of_a_program_scores_as_the_scorer_does(
    trained_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = trained_world
    crown(world, random_adapter(world), world.config.reference.days)
    with Project(world.config) as project:
        export(project, world.root / "bundle", formats=["torch"])
    values = run_block(world.root, monkeypatch, 2)
    wanted = values["scorer"].score(values["rows"])["p_click"].to_pylist()
    assert values["scores"]["p_click"].tolist() == pytest.approx(wanted, abs=1e-6)


def test_the_example_of_serving_follows_a_promotion_and_a_rollback(
    trained_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = trained_world
    crown(world, random_adapter(world), world.config.reference.days)
    with Project(world.config) as project:
        export(project, world.root / "bundle")
    first = run_block(world.root, monkeypatch)
    with Ledger(world.config) as ledger:
        rollback(world.config, ledger, KEY, None, "complaints")
    with Project(world.config) as project:
        export(project, world.root / "bundle")
    then = run_block(world.root, monkeypatch)
    (one,), (other,) = (values["scores"].to_pylist() for values in (first, then))
    assert (one["served_by"], one["champion"], one["why"]) == ("adapter", 1, None)
    assert (other["served_by"], other["champion"], other["why"]) == ("base", 0, "no champion")
    assert abs(one["p_click"] - other["p_click"]) > 0.001
    held = first["scorer"]
    assert held.score(first["rows"]).equals(first["scores"])
    assert held.refresh() and held.score(first["rows"]).equals(then["scores"])


def kept_folders() -> list[str]:
    """The paths below the workspace that the page on backups says to keep."""
    text = (ROOT / "docs/howto/backup.md").read_text(encoding="utf-8")
    table = text.split("## What to back up")[1].split("## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return re.findall(r"`workspace/([^`]+)`", " ".join(rows))


def test_what_the_page_says_to_back_up_is_enough(trained_world: World, tmp_path: Path) -> None:
    world = trained_world
    crown(world, random_adapter(world), world.config.reference.days)
    before = examine(world.config)
    assert all(finding["ok"] for finding in before), before
    names, home = kept_folders(), world.config.home
    assert {"ledger.db", "erased.json", "lake/", "adapters/", "model/"} <= set(names)
    lost = home.rename(tmp_path / "lost")
    home.mkdir()
    for name in names:
        if (lost / name).is_dir():
            shutil.copytree(lost / name, home / name)
        elif (lost / name).exists():
            shutil.copy(lost / name, home / name)
    assert examine(world.config) == before
