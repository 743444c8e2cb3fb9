"""A lake that cannot be read: one line that says so, wherever it is asked."""

from pathlib import Path

import pytest

from driftune.config.workspace import Workspace
from driftune.deployment.doctor import examine
from driftune.errors import LakeError
from driftune.lake.store import LakeFolder
from driftune.lake.table import Lake
from tests.conftest import World


@pytest.fixture
def damaged(ingested_world: World) -> World:
    """A world whose lake's log is broken."""
    log = Workspace(ingested_world.config).lake / "_delta_log"
    sorted(log.glob("*.json"))[0].write_text("{broken", encoding="utf-8")
    return ingested_world


def test_a_damaged_lake_is_one_line(damaged: World) -> None:
    path = Workspace(damaged.config).lake

    with pytest.raises(LakeError, match=r"is damaged .*put a backup back") as error:
        Lake.at(LakeFolder(path))
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_the_doctor_names_a_damaged_lake_and_goes_on(damaged: World) -> None:
    findings = examine(damaged.config)
    assert [finding["ok"] for finding in findings] == [True, True, False, False, True]
    assert "is damaged" in findings[2]["what"]


def test_a_lake_that_is_not_there_yet_holds_nothing(tmp_path: Path) -> None:
    assert Lake.at(LakeFolder(tmp_path / "lake")).days == []


def test_a_day_that_is_not_in_the_lake_is_named(ingested_world: World) -> None:
    day = ingested_world.day(3)
    with pytest.raises(LakeError, match=str(day)):
        Lake.of(ingested_world.config).relation([day])
