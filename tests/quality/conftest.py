"""Worlds whose newest day has rows in quarantine."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.checkpoint import judged_plainly
from tests.conftest import World, impressions
from tests.quality.days import run


@pytest.fixture(scope="session")
def _copied(_ingested: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copied") / "world"
    shutil.copytree(_ingested, folder)
    world = World(folder)
    day = world.day(3)
    frame = impressions(day)
    frame.loc[50, "user_id"] = None
    frame.loc[60, ["click", "ordered"]] = [0, 1]
    world.write(day, pd.concat([frame, frame.iloc[:10]], ignore_index=True))
    with judged_plainly():
        run(world, day)
    return folder


@pytest.fixture
def copied(_copied: Path, tmp_path: Path) -> World:
    """A world whose day 3 has ten exact copies, a row without a user and an order without a click:
    a copy of one made once per session."""
    folder = tmp_path / "copied"
    shutil.copytree(_copied, folder)
    return World(folder)
