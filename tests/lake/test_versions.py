"""Old versions of a day: listed, read, and kept for good."""

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from driftune.cli import app
from driftune.config.workspace import Workspace
from driftune.errors import LakeError
from driftune.intake.ingest import ingest
from driftune.lake.versions import day_versions, export_day
from driftune.registry.ledger import Ledger
from tests.checkpoint import judged_plainly
from tests.conftest import World, impressions, made_once


@pytest.fixture(scope="session")
def _corrected(_ingested: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    def make(folder: Path) -> None:
        world = World(folder)
        day = world.day(3)
        with judged_plainly(), Ledger(world.config) as ledger:
            for rows in (1200, 900):
                world.write(day, impressions(day, rows=rows, seed=rows))
                ingest(world.config, ledger, day)

    return made_once(tmp_path_factory, "corrected", make, _ingested)


@pytest.fixture
def corrected(_corrected: Path, tmp_path: Path) -> World:
    """A world whose fourth day was delivered with 1,200 rows, then with 900: made once, a copy."""
    return World.copied(_corrected, tmp_path / "corrected")


def test_every_delivery_of_a_day_stays_readable(corrected: World, tmp_path: Path) -> None:
    day = corrected.day(3)
    found = day_versions(corrected.config, day)
    assert [(row["rows"], row["readable"]) for row in found] == [(1200, True), (900, True)]
    assert found[0]["content"] != found[1]["content"]
    target = tmp_path / "first.parquet"
    assert export_day(corrected.config, day, found[0]["version"], target) == 1200
    held = pd.read_parquet(target)
    delivered = impressions(day, rows=1200, seed=1200)
    assert sorted(held["user_id"]) == sorted(delivered["user_id"])
    assert held["price"].sum() == pytest.approx(delivered["price"].sum())


def test_a_version_that_there_is_not(corrected: World, tmp_path: Path) -> None:
    day = corrected.day(3)
    with pytest.raises(LakeError, match=r"has versions 0 to \d+, not 99"):
        export_day(corrected.config, day, 99, tmp_path / "none.parquet")
    before = day_versions(corrected.config, day)[0]["version"] - 1
    with pytest.raises(LakeError, match=f"lacks {day}"):
        export_day(corrected.config, day, before, tmp_path / "none.parquet")
    assert not (tmp_path / "none.parquet").exists()
    assert day_versions(corrected.config, corrected.day(9)) == []


def test_a_place_that_takes_no_file_is_one_line(corrected: World, tmp_path: Path) -> None:
    day = corrected.day(3)
    (tmp_path / "file").touch()
    version = day_versions(corrected.config, day)[0]["version"]
    with pytest.raises(LakeError, match=r"x\.parquet: cannot be written"):
        export_day(corrected.config, day, version, tmp_path / "file" / "x.parquet")


def test_files_that_are_gone_are_said_to_be(corrected: World) -> None:
    day = corrected.day(3)
    for path in (Workspace(corrected.config).lake / f"day={day}").iterdir():
        if len(pd.read_parquet(path)) == 1200:
            path.unlink()
    assert [row["readable"] for row in day_versions(corrected.config, day)] == [False, True]


def test_the_command_line_lists_and_writes_versions(corrected: World, tmp_path: Path) -> None:
    day, config = str(corrected.day(3)), ["--config", str(corrected.params)]
    listed = CliRunner().invoke(app, ["lake", "versions", day, *config])
    lines = listed.stdout.splitlines()
    assert ["1,200 rows" in lines[0], "900 rows" in lines[1]] == [True, True]
    version = lines[0].split()[1]
    target = tmp_path / "old.parquet"
    options = ["--version", version, "--to", str(target)]
    written = CliRunner().invoke(app, ["lake", "export", day, *options, *config])
    assert written.exit_code == 0, written.output
    assert len(pd.read_parquet(target)) == 1200
