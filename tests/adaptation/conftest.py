"""A trained world with a day to adapt to."""

from datetime import date
from pathlib import Path

import pytest

from tests.checkpoint import judged_plainly
from tests.conftest import World, made_once
from tests.crowning import bring


@pytest.fixture(scope="session")
def _next_day(_trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    def make(folder: Path) -> None:
        world = World(folder)
        with judged_plainly():
            bring(world, world.day(3))

    return made_once(tmp_path_factory, "next-day", make, _trained)


@pytest.fixture
def next_day_world(_next_day: Path, tmp_path: Path) -> World:
    """A copy of a trained world with the day after its reference days in the lake."""
    return World.copied(_next_day, tmp_path / "next-day")


@pytest.fixture
def day(next_day_world: World) -> date:
    """The day after the reference days, in the lake."""
    return next_day_world.day(3)
