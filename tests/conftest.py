"""Shared fixtures: small worlds of logs in a temporary folder, with a params.yaml of their own."""

import gc
import os
import shutil
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import chdir, suppress
from copy import deepcopy
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from itertools import count
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import yaml
from filelock import FileLock
from hypothesis import settings

from driftune.cli import main
from driftune.cli.console import quiet_exit
from driftune.config import Config
from driftune.config.loading import load_config
from driftune.intake.ingest import ensure_reference
from driftune.no_telemetry import silence
from driftune.registry.ledger import Ledger
from tests.checkpoint import judged_plainly
from tests.forks import fork_server
from tests.marks import leave_out
from tests.servers import LOGIN, object_store

# What collection imports stays: looking through it for garbage takes an eighth of that time.
gc.disable()
silence()
quiet_exit()
# The same examples every time; a slow machine is no failure.
settings.register_profile("driftune", deadline=None, derandomize=True)
settings.load_profile("driftune")

# libyaml's, where PyYAML has it.
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

FIRST = date(2026, 3, 2)
REFERENCE_DAYS = 3
DOMAINS = ("home · north", "home · south", "search · north", "search · south")


def impressions(day: date, rows: int = 1200, seed: int = 0) -> pd.DataFrame:
    """A clean day of logs: four domains, clicks that depend on the category."""
    rng = np.random.default_rng([seed, day.toordinal()])
    seconds = np.sort(rng.integers(0, 86400, rows))
    category = rng.choice(["noodles", "coffee", "salads", "burgers"], rows)
    rate = pd.Series(category).map({"noodles": 0.5, "coffee": 0.3, "salads": 0.15, "burgers": 0.1})
    click = rng.random(rows) < rate.to_numpy()
    return pd.DataFrame(
        {
            "user_id": [f"u{n}" for n in rng.integers(0, 150, rows)],
            "item_id": [f"i{n}" for n in rng.integers(0, 60, rows)],
            "event_time": pd.Timestamp(day) + pd.to_timedelta(seconds, unit="s"),
            "scene": rng.choice(["home", "search"], rows),
            "region": rng.choice(["north", "south"], rows),
            "category": category,
            "price": rng.gamma(2, 10, rows).round(2),
            "request_id": [f"{day}-{n}" for n in np.arange(rows) // 4],
            "position": rng.integers(1, 9, rows),
            "propensity": rng.random(rows).round(4),
            "restaurant_id": [f"r{n}" for n in rng.integers(0, 20, rows)],
            "click": click.astype("int8"),
            "ordered": (click & (rng.random(rows) < 0.3)).astype("int8"),
        }
    )


@cache
def _shipped() -> dict[str, Any]:
    text = Path(__file__).parents[1].joinpath("params.yaml").read_text(encoding="utf-8")
    params: dict[str, Any] = yaml.safe_load(text)
    return params


def small_params() -> dict[str, Any]:
    """The project's own params.yaml, made small, and on the CPU whatever the machine has."""
    params = deepcopy(_shipped())
    params["source"] = {"uri": "logs/{day}.parquet"}
    params["reference"] = {
        "first": FIRST.isoformat(),
        "last": (FIRST + timedelta(days=REFERENCE_DAYS - 1)).isoformat(),
        "holdout": 0.2,
    }
    params["drift"] |= {"min_rows": 150, "min_clicks": 30}
    params["gate"] |= {"min_rows": 50, "min_positives": 10, "min_users": 20, "resamples": 200}
    params["backbone"] |= {"hidden": [16], "epochs": 1, "embedding": 4}
    params["adapter"] |= {"epochs": 2, "hidden": 16, "bottleneck": 4, "device": "cpu"}
    return params


@cache
def _loaded(params: Path, _text: bytes) -> Config:
    return load_config(params, env={})


class World:
    """A folder with params.yaml and daily files, as a user would have it."""

    def __init__(self, root: Path, **changes: Any) -> None:
        self.root = root
        params = small_params()
        for section, values in changes.items():
            if isinstance(values, dict):
                params[section] = {**(params.get(section) or {}), **values}
            else:
                params[section] = values
        (root / "logs").mkdir(parents=True, exist_ok=True)
        self.params = root / "params.yaml"
        self.params.write_text(yaml.dump(params, Dumper=_DUMPER), encoding="utf-8")

    @classmethod
    def copied(cls, source: Path, folder: Path) -> "World":
        """A copy of a world, its params.yaml as it stands there."""
        shutil.copytree(source, folder)
        return cls.at(folder)

    @classmethod
    def at(cls, folder: Path) -> "World":
        """The world that lies in a folder, its params.yaml as it stands there."""
        world = cls.__new__(cls)
        world.root, world.params = folder, folder / "params.yaml"
        return world

    @property
    def config(self) -> Config:
        """The configuration, loaded when its file has changed since it was last asked for."""
        return _loaded(self.params, self.params.read_bytes())

    def day(self, number: int) -> date:
        """The day ``number`` after the first reference day."""
        return FIRST + timedelta(days=number)

    def write(self, day: date, frame: pd.DataFrame | None = None) -> Path:
        """Write a day's file (a clean one by default)."""
        path = self.root / "logs" / f"{day}.parquet"
        (impressions(day) if frame is None else frame).to_parquet(path, index=False)
        return path

    def with_reference(self) -> "World":
        """Write the reference days' files."""
        for number in range(REFERENCE_DAYS):
            self.write(self.day(number))
        return self


# Folders whose tests are about a day's verdict, or see to the whole of a deployed project.
JUDGED_FOR_REAL = ("quality", "deployed", "faults")


def judged_for_real(item: pytest.Item) -> bool:
    """Whether days are judged by Great Expectations, whose import takes seconds."""
    folder = item.path.relative_to(Path(__file__).parent).parts[0]
    return folder in JUDGED_FOR_REAL or item.get_closest_marker("great_expectations") is not None


# Of a suite's files.
_ROOM = 4 << 30
_MEMORY = Path("/dev/shm")


def pytest_configure() -> None:
    """Tests' files lie in memory where there is room: each write of a ledger waits for the disk."""
    with suppress(OSError):
        free = shutil.disk_usage(_MEMORY).free
        if free > 2 * _ROOM and os.access(_MEMORY, os.W_OK) and _available() > 2 * _ROOM:
            os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))


def _available() -> int:
    """Bytes of memory that nobody uses."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))


# Before xdist reads the groups.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one slow import share a worker, and few parameters of some tests stay fast."""
    leave_out(items)
    for item in items:
        if "forks" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("forks"))
        elif judged_for_real(item) and item.path.parent.name not in ("deployed", "flows"):
            item.add_marker(pytest.mark.xdist_group("great_expectations"))
        elif item.get_closest_marker("evidently") is not None:
            item.add_marker(pytest.mark.xdist_group("evidently"))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, bool | None, bool | None]:
    """What was imported is looked through for garbage no more, what tests make is."""
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True)
def _plain_checkpoint(request: pytest.FixtureRequest) -> Iterator[None]:
    """Days are judged without Great Expectations where the verdict is not what is tested."""
    if judged_for_real(request.node):
        yield
    else:
        with judged_plainly():
            yield


_NUMBERS = count()


@pytest.fixture
def tmp_path(tmp_path: Path) -> Path:
    """A folder whose path no other test of this process had.

    pytest gives a folder's name to the next test once it is removed, and MLflow, which keeps its
    connections by the path of their database, would go on in the file that is gone.
    """
    folder = tmp_path / str(next(_NUMBERS))
    folder.mkdir()
    return folder


@pytest.fixture
def make_world(tmp_path: Path) -> Callable[..., World]:
    """A factory of worlds in this test's folder; keyword arguments change params.yaml."""
    return lambda **changes: World(tmp_path, **changes)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world with its reference days."""
    return World(tmp_path).with_reference()


def made_once(
    factory: pytest.TempPathFactory,
    name: str,
    make: Callable[[Path], None],
    start: Path | None = None,
) -> Path:
    """The folder ``name`` that ``make`` fills, once for all processes that run these tests.

    ``start``: the folder of which it is a copy before that.
    """
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder = root / "made" / name
    folder.parent.mkdir(exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            part = folder.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            if start is not None:
                shutil.copytree(start, part, dirs_exist_ok=True)
            make(part)
            part.rename(folder)
    return folder


@pytest.fixture(scope="session")
def _ingested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def make(folder: Path) -> None:
        world = World(folder).with_reference()
        with judged_plainly(), Ledger(world.config) as ledger:
            ensure_reference(world.config, ledger)

    return made_once(tmp_path_factory, "ingested", make)


@pytest.fixture
def ingested_world(_ingested: Path, tmp_path: Path) -> World:
    """A world whose reference days are in the lake: a copy of one made once per session."""
    return World.copied(_ingested, tmp_path / "ingested")


@pytest.fixture(scope="session")
def _trained(
    _ingested: Path, _mlflow_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    def make(folder: Path) -> None:
        world = World(folder)
        with Ledger(world.config) as ledger:
            from driftune.training.pretrain import pretrain

            pretrain(world.config, ledger)
        shutil.copy(_mlflow_store, world.config.home / "mlflow.db")

    return made_once(tmp_path_factory, "trained", make, _ingested)


@pytest.fixture
def trained_world(_trained: Path, tmp_path: Path) -> World:
    """A world with a small backbone on its reference days, and MLflow's empty store.

    It is a copy of one made once per session.
    """
    return World.copied(_trained, tmp_path / "trained")


@pytest.fixture(scope="session")
def _undefined(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.undefined import make

    return made_once(tmp_path_factory, "undefined", make)


@pytest.fixture
def undefined_world(_undefined: Path, tmp_path: Path) -> World:
    """A copy of a world whose domains have figures that are not defined, see tests.undefined."""
    return World.copied(_undefined, tmp_path / "undefined")


@pytest.fixture(scope="session")
def forks(request: pytest.FixtureRequest) -> ForkServerContext:
    """Where processes are forked from: a server that has imported all they need, tests.forks."""
    return fork_server(any(item.path.parent.name in WHOLE_DAYS for item in _forking(request)))


# Folders whose forked processes train, erase, or live whole days.
WHOLE_DAYS = ("adaptation", "drift", "faults", "retention")


def _forking(request: pytest.FixtureRequest) -> list[pytest.Item]:
    return [each for each in request.session.items if "forks" in getattr(each, "fixturenames", ())]


@pytest.fixture(scope="session")
def _mlflow_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow store: its migrations take seconds, so that tests copy this one."""
    return made_once(tmp_path_factory, "mlflow", make_mlflow_store) / "mlflow.db"


def make_mlflow_store(folder: Path) -> None:
    """An empty store of MLflow in the folder."""
    from mlflow.tracking import MlflowClient

    uri = f"sqlite:///{folder / 'mlflow.db'}"
    MlflowClient(uri, uri).search_registered_models()


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an S3-compatible store."""
    with object_store(tmp_path_factory.mktemp("store")) as url:
        yield url


@pytest.fixture
def bucket(store: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of a store with an empty bucket, ``logs``, and the environment that names it."""
    import s3fs

    for name, value in {**LOGIN, "AWS_ENDPOINT_URL": store}.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    files = s3fs.S3FileSystem(use_listings_cache=False)
    files.mkdir("logs")
    yield files
    files.rm("logs", recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """A PostgreSQL server."""
    from tests.postgres import Postgres, binaries

    folder = binaries()
    if folder is None:
        pytest.skip("PostgreSQL is not installed (Debian's package postgresql)")
    server = Postgres(folder)
    yield server
    server.remove()


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def driftune(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """The command line as its program runs it, in this process: a new one imports for seconds."""

    def run(*arguments: str, folder: Path | None = None) -> Ended:
        monkeypatch.setattr(sys, "argv", ["driftune", *arguments])
        capsys.readouterr()
        environment = mock.patch.dict(os.environ)
        with environment, chdir(folder or Path.cwd()), pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return Ended(int(ended.value.code or 0), out, err)

    return run
