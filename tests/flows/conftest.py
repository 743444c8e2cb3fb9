"""A real Prefect server for the session, and a pre-trained world of simulated days."""

import shutil
from collections.abc import Callable, Iterator
from datetime import date
from functools import cache
from pathlib import Path

import pytest

from driftune.registry.ledger import Ledger
from driftune.simulate import Event, simulate
from driftune.training.pretrain import pretrain
from flows.daily import daily
from tests.conftest import World, made_once, make_mlflow_store, small_params
from tests.shifts import SHIFTED, shifting

SIMULATION = shifting(8, date(2026, 3, 7), 2.5)
STABLE_DAY, SHIFT_DAY, DAY_AFTER = SIMULATION.calendar[4:7]
OTHER = "search · south"
# The same, with a second domain that shifts on the same day.
TWO_SHIFTS = SIMULATION.model_copy(
    update={
        "events": (
            *SIMULATION.events,
            Event(
                domain=OTHER,
                day=SHIFT_DAY,
                kind="label_only",
                size=2.0,
                favour=("curry", "burgers"),
                against=("coffee", "desserts"),
            ),
        )
    }
)


# Before xdist reads the groups, also where this folder alone is run.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test in this folder runs real flows."""
    folder = Path(__file__).parent
    for item in items:
        if folder in item.path.parents:
            item.add_marker(pytest.mark.flow)
            # One worker: it starts one server.
            item.add_marker(pytest.mark.xdist_group("flows"))


@pytest.fixture(scope="session", autouse=True)
def prefect_server() -> Iterator[None]:
    """One Prefect server with its own database for all flow tests."""
    # Here, as it imports the server: for seconds, in each process that borrows from this module.
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield


# Counters that a shifted day hardly moves: else the adapter learns to read them the wrong way
# round, and is taken back on the next day, when they have moved.
STEADY = {
    "counters": {
        **small_params()["features"]["counters"],
        "smoothing": 3000,
    }
}


def simulated_world(folder: Path) -> World:
    """A world whose logs are simulated: four reference days, then days that shift one domain."""
    return World(
        folder,
        source={"uri": "logs/impressions-{day}.parquet"},
        reference={"first": "2026-03-02", "last": "2026-03-05", "holdout": 0.1},
        backbone={"hidden": [32], "epochs": 2, "embedding": 8},
        adapter={
            "epochs": 20, "batch_size": 64, "learning_rate": 0.01,
            "hidden": 32, "bottleneck": 8, "train_days": 2,
        },
        # Limits far from what this world does, whatever the processor: see test_margins.py.
        drift={"confirm": {"days": 2, "of": 3, "p": 0.001}},
        features=STEADY,
        gate={"looks": 1, "calibration_band": [0.4, 2.5]},
    )  # fmt: skip


@pytest.fixture(scope="session")
def _pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "simulated", pretrained)


def pretrained(folder: Path) -> None:
    """Simulate the days and pre-train on the reference."""
    world = simulated_world(folder)
    simulate(SIMULATION, folder / "logs")
    with Ledger(world.config) as ledger:
        pretrain(world.config, ledger)
    make_mlflow_store(world.config.home)


@pytest.fixture(scope="session")
def _lived(_pretrained: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A factory of copies of the pre-trained world after a day's run; each is made once."""

    @cache
    def live(day: date, trigger: str) -> Path:
        folder = tmp_path_factory.mktemp(f"lived-{day}-{trigger}") / "world"
        world = copy_world(_pretrained, folder)
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("DRIFTUNE__TRIGGER", trigger)
            daily(day, str(world.params))
        return folder

    return live


def copy_world(source: Path, folder: Path) -> World:
    """A copy of a simulated world."""
    shutil.copytree(source, folder)
    return simulated_world(folder)


@pytest.fixture
def simulated(_pretrained: Path, tmp_path: Path) -> World:
    """A pre-trained world of simulated days: a copy of one made once per session."""
    return copy_world(_pretrained, tmp_path / "simulated")


@pytest.fixture
def after_stable(_lived: Callable[..., Path], tmp_path: Path) -> World:
    """The simulated world after the run of its stable day."""
    return copy_world(_lived(STABLE_DAY, "inline"), tmp_path / "stable")


@pytest.fixture
def after_shift(_lived: Callable[..., Path], tmp_path: Path) -> World:
    """The simulated world after the run of the day that shifts one domain."""
    return copy_world(_lived(SHIFT_DAY, "inline"), tmp_path / "shift")


@pytest.fixture
def waiting(
    _lived: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[World, str]:
    """A world in which a drift decision waits (the trigger is the event), and its id."""
    monkeypatch.setenv("DRIFTUNE__TRIGGER", "event")
    world = copy_world(_lived(SHIFT_DAY, "event"), tmp_path / "waiting")
    with Ledger(world.config) as ledger:
        rows = [row for row in ledger.decisions() if row.state == "pending"]
    assert [row.domain for row in rows] == [SHIFTED]
    return world, rows[0].id
