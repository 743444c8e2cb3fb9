"""Random trials end as their undisturbed twin does; the comparison sees what is planted."""

from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
import sqlalchemy as sa

from driftune.config.workspace import Workspace
from driftune.registry.ledger import Ledger
from driftune.registry.schema import decisions
from tests.conftest import World
from tests.faults.strikes import own_disk
from tests.faults.trials import Ends, Trial, Twin, compare, ends, looked

pytestmark = [pytest.mark.slow, pytest.mark.trains]
LAST = 4


@pytest.fixture(scope="module")
def twin(forks: ForkServerContext, tmp_path_factory: pytest.TempPathFactory) -> Twin:
    return Twin(tmp_path_factory.mktemp("random") / "twin", forks).live()


@pytest.mark.timeout(1800)
def test_ten_random_trials_end_as_their_twin(twin: Twin, tmp_path: Path) -> None:
    for number in range(10):
        trial = Trial(twin, f"22 {number}", tmp_path / str(number))
        assert not trial.run(), "\n".join([*trial.said, *trial.wrong])


@pytest.fixture
def world(twin: Twin) -> Iterator[World]:
    """The twin's world after some steps, where it is lived in."""
    with own_disk(twin.home):
        yield twin.copied(LAST)


def _changed_decision(world: World) -> None:
    with Ledger(world.config) as ledger, ledger.write() as connection:
        first = connection.scalar(sa.select(sa.func.min(decisions.c.id)))
        connection.execute(
            decisions.update().where(decisions.c.id == first).values(state="drifted")
        )


def _lost_record(world: World) -> None:
    path = next(Workspace(world.config).home.glob("quality/2026-03-06.json"))
    path.unlink()


def _unfinished_file(world: World) -> None:
    (Workspace(world.config).home / "quality" / ".2026-03-06.json.0123abcd.part").touch()


def _unknown_folder(world: World) -> None:
    (Workspace(world.config).home / "adapters" / "nobody" / "00001-0123456789ab").mkdir(
        parents=True
    )


@pytest.mark.parametrize(
    ("plant", "says"),
    [
        (_changed_decision, "/ledger/decisions/"),
        (_lost_record, "/records/quality/2026-03-06.json: "),
        (_unfinished_file, "left over: quality/.2026-03-06.json.#.part"),
        (_unknown_folder, "left over: adapters/nobody/00001-#"),
    ],
)
def test_what_is_planted_is_seen(
    twin: Twin, world: World, tmp_path: Path, plant: Callable[[World], None], says: str
) -> None:
    wanted: Ends = looked(twin.forks, ends, world, tmp_path)
    assert compare(wanted, looked(twin.forks, ends, world, tmp_path)) == []
    plant(world)
    lines = compare(wanted, looked(twin.forks, ends, world, tmp_path))
    assert any(line.startswith(says) for line in lines), lines
