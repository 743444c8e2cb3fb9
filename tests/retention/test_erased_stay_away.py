"""Whatever is killed, lost, put back or delivered again: rows of erased users do not come back."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from driftune.config.workspace import Workspace
from driftune.errors import DriftuneError, LakeError
from driftune.intake.ingest import ingest
from driftune.intake.release import release_day
from driftune.lake.suppressed import read_suppressed
from driftune.lake.table import Lake
from driftune.registry.erasures import kept_list
from driftune.registry.ledger import Ledger
from driftune.retention.erase import apply_again, erase
from tests.conftest import World, impressions, made_once

USERS = ("ana-77", "bo-78")
DAYS = range(1, 4)
# Where an erasure is killed: before the call of a function, or after it.
POINTS = (
    "driftune.intake.erasures:keep_list",
    "driftune.intake.erasures:write_suppressed",
    "driftune.intake.erasures:note_applied",
    "driftune.retention.lake_rows:replace_day",
    "driftune.retention.lake_rows:align",
    "driftune.retention.parquet_rows:erase_quarantined",
)
# What of a workspace an older backup is put back of.
PARTS = ("all but the ledger", "ledger", "lake", "list", "all but the list")


class Killed(BaseException):
    """Stands for the end of a process: nothing catches it."""


@contextmanager
def killed_at(point: str, *, after: bool, call: int) -> Iterator[None]:
    """End the work at a call of a function, before or after it."""
    module, name = point.split(":")
    whole, calls = getattr(import_module(module), name), 0

    def struck(*arguments: object, **named: object) -> object:
        nonlocal calls
        calls += 1
        if calls == call and not after:
            raise Killed
        result = whole(*arguments, **named)
        if calls == call:
            raise Killed
        return result

    with mock.patch.object(import_module(module), name, struck):
        yield


@dataclass
class Life:
    """A workspace that things happen to, and who was erased from it."""

    world: World
    backups: list[Path] = field(default_factory=list)
    erased: set[str] = field(default_factory=set)
    # The place that is an older one now; another one must not be, too: nobody could tell.
    behind: str | None = None

    @property
    def home(self) -> Path:
        return self.world.config.home

    def deliver(self, number: int, seed: int) -> None:
        """A day's file, with rows of both users, some of them broken."""
        frame = impressions(self.world.day(number), 400, seed)
        for place, user in enumerate(USERS):
            frame.loc[frame.index[place * 20 : place * 20 + 20], "user_id"] = user
        frame.loc[frame.index[[0, 20]], "click"] = 5
        self.world.write(self.world.day(number), frame)

    def run(self, number: int) -> None:
        self._take(lambda ledger: ingest(self.world.config, ledger, self.world.day(number)))

    def release(self, number: int) -> None:
        day = self.world.day(number)
        self._take(
            lambda ledger: release_day(self.world.config, ledger, day, ["duplicate"], [], "good")
        )

    def _take(self, work: Callable[[Ledger], object]) -> None:
        with Ledger(self.world.config) as ledger:
            try:
                work(ledger)
            except DriftuneError as error:
                assert "\n" not in str(error)
                return
        self.look()

    def erase(self, user: str) -> None:
        with Ledger(self.world.config) as ledger, suppress(LakeError):
            done = erase(self.world.config, ledger, [user], "asked")
            if user not in done.unknown:
                self.erased.add(user)

    def killed(self, user: str, point: str, after: bool, call: int) -> None:
        with suppress(Killed), killed_at(point, after=after, call=call):
            self.erase(user)
        with Ledger(self.world.config) as ledger:
            lists = [read_suppressed(self.world.config), kept_list(ledger)]
        self.erased |= {user for held in lists if held and held.mark(user) in held.users}

    def again(self) -> None:
        with Ledger(self.world.config) as ledger, suppress(LakeError):
            apply_again(self.world.config, ledger)
            self.behind = None
            self.look()

    def backup(self) -> None:
        with sqlite3.connect(self.home / "ledger.db") as con:
            con.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        target = self.world.root / f"backup-{len(self.backups)}"
        shutil.copytree(self.home, target)
        self.backups.append(target)

    def restore(self, part: str, which: int) -> None:
        """Put a part of a backup back, and leave the others as they are."""
        if not self.backups or self.behind not in (None, part):
            return
        self.behind = part
        source = self.backups[which % len(self.backups)]
        lake, listed = Workspace(self.world.config).lake.name, "erased.json"
        ledger = [path.name for path in self.home.glob("ledger.db*")]
        every = {path.name for root in (self.home, source) for path in root.iterdir()}
        for name in {
            "ledger": {"ledger.db", *ledger},
            "lake": {lake},
            "list": {listed},
            "all but the ledger": every - {"ledger.db", *ledger},
            "all but the list": every - {listed},
        }[part]:
            self._replace(name, source)

    def _replace(self, name: str, source: Path) -> None:
        here, there = self.home / name, source / name
        shutil.rmtree(here) if here.is_dir() else here.unlink(missing_ok=True)
        if there.is_dir():
            shutil.copytree(there, here)
        elif there.exists():
            shutil.copy2(there, here)

    def look(self) -> None:
        """After a run that said ok nobody who was erased is in lake or quarantine."""
        view = Lake.of(self.world.config)
        with duckdb.connect() as con:
            query = f"SELECT DISTINCT user_id FROM {view.relation(view.days)}"
            users = {user for (user,) in con.execute(query).fetchall()}
            for path in (self.home / "quarantine").glob("*.parquet"):
                found = con.execute("SELECT _driftune_user FROM read_parquet(?)", [str(path)])
                users |= {user for (user,) in found.fetchall()}
        assert not users & self.erased


number, user, place = st.sampled_from(DAYS), st.sampled_from(USERS), st.integers(0, 3)
STEPS = st.one_of(
    st.tuples(st.just("erase"), user),
    st.tuples(
        st.just("killed"), user, st.sampled_from(POINTS), st.booleans(), st.sampled_from([1, 2])
    ),
    st.tuples(st.just("backup")),
    st.tuples(st.just("restore"), st.sampled_from(PARTS), place),
    st.tuples(st.just("deliver"), number, st.integers(0, 1)),
    st.tuples(st.just("run"), number),
    st.tuples(st.just("release"), number),
    st.tuples(st.just("again")),
)


@pytest.fixture(scope="module")
def _begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "erased-stay-away", begin)


def begin(folder: Path) -> None:
    """Two days with both users in lake and quarantine, and the file of a third."""
    world = World(folder, reference={"last": f"{World(folder).day(0)}"})
    world.write(world.day(0), impressions(world.day(0), 400))
    life = Life(world)
    for day in DAYS:
        life.deliver(day, 0)
    for day in (0, 1, 2):
        life.run(day)


def live(start: Path, steps: list[tuple[object, ...]]) -> None:
    """Let it happen, then apply all erasures again and take every day in."""
    with TemporaryDirectory() as folder:
        life = Life(World.copied(start, Path(folder) / "world"))
        life.backup()
        for name, *given in steps:
            getattr(life, str(name))(*given)
        life.again()
        assert life.behind is None
        for day in DAYS:
            life.run(day)
        life.look()


def quick(examples: int) -> Callable[..., object]:
    return settings(max_examples=examples, suppress_health_check=list(HealthCheck))


@pytest.mark.slow
@pytest.mark.ci
@quick(4)
@given(steps=st.lists(STEPS, min_size=3, max_size=6))
def test_erased_users_stay_away(_begun: Path, steps: list[tuple[object, ...]]) -> None:
    live(_begun, steps)


@pytest.mark.slow
@quick(15)
@given(steps=st.lists(STEPS, min_size=4, max_size=12))
def test_erased_users_stay_away_for_long(_begun: Path, steps: list[tuple[object, ...]]) -> None:
    live(_begun, steps)


@pytest.mark.few(1)
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.slow
@pytest.mark.ci
def test_each_part_put_back_from_before(_begun: Path, part: str) -> None:
    steps = [("erase", USERS[0]), ("restore", part, 0), ("run", 1), ("deliver", 2, 1), ("run", 2)]
    live(_begun, [*steps, ("release", 1), ("run", 3)])
