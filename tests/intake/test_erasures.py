"""Who was erased stands in three places: where one of them lost it, nothing is taken in."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from driftune.config.workspace import Workspace
from driftune.deployment.doctor import examine
from driftune.errors import DriftuneError, LakeDamageError, LakeError
from driftune.intake.erasures import check_erasures, erasure_problem
from driftune.intake.ingest import ingest
from driftune.intake.release import release_day
from driftune.io import read_json, write_json
from driftune.lake.applied import applied
from driftune.lake.store import store_of
from driftune.lake.suppressed import read_suppressed
from driftune.lake.table import Lake
from driftune.registry.erasures import kept_list
from driftune.registry.ledger import Ledger
from driftune.retention.erase import Erased, apply_again, erase
from tests.conftest import Ended, World, made_once

USERS = ["u7", "u8"]


def remove(world: World, *users: str) -> None:
    with Ledger(world.config) as ledger:
        erase(world.config, ledger, users, "asked")


def again(world: World, *, forget_lost: bool = False) -> Erased:
    with Ledger(world.config) as ledger:
        return apply_again(world.config, ledger, forget_lost=forget_lost)


def problem(world: World) -> str | None:
    with Ledger(world.config) as ledger:
        return erasure_problem(world.config, ledger)


def rows_of(world: World, *users: str) -> int:
    """Rows of the users in the lake, its old versions included."""
    store = store_of(world.config)
    files = [str(store.read(file.name, file.size)) for file in store.files()]
    query = "SELECT count(*) FROM read_parquet(?, union_by_name = true) WHERE user_id IN ?"
    return int(duckdb.execute(query, [files, list(users)]).fetchall()[0][0])


def ledger_of(world: World) -> Path:
    """The ledger's file, nothing of it elsewhere."""
    with sqlite3.connect(world.config.home / "ledger.db") as con:
        con.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return world.config.home / "ledger.db"


@pytest.fixture(scope="session")
def _erased(_ingested: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    def make(folder: Path) -> None:
        world, old = World.copied(_ingested, folder / "ingested"), folder / "old"
        old.mkdir()
        shutil.copytree(store_of(world.config).place, old / "lake")
        remove(world, "u7")
        shutil.copy(Workspace(world.config).suppressed, old)
        shutil.copy(ledger_of(world), old)
        remove(world, "u8")

    return made_once(tmp_path_factory, "erased", make)


@pytest.fixture
def erased(_erased: Path, tmp_path: Path) -> World:
    """A world with two erasures; ``old`` beside it holds list and ledger after the first one, and
    the lake of before: copies of ones made once per session."""
    shutil.copytree(_erased / "old", tmp_path / "old")
    return World.copied(_erased / "ingested", tmp_path / "ingested")


def lose_list(world: World, _: Path) -> str:
    Workspace(world.config).suppressed.unlink()
    return "is missing, the ledger has 2 erasures; say driftune erase --again"


def damage_list(world: World, _: Path) -> str:
    path = Workspace(world.config).suppressed
    path.write_text(path.read_text().replace("asked", "askef", 1))
    return "is damaged; driftune erase --again writes it anew"


def older_list(world: World, old: Path) -> str:
    shutil.copy(old / "erased.json", world.config.home)
    return "is an older one, with 1 erasure, the ledger has 2"


def older_ledger(world: World, old: Path) -> str:
    shutil.copy(old / "ledger.db", ledger_of(world))
    return "registry.ledger: is an older one, with 1 erasure"


def lose_ledger(world: World, _: Path) -> str:
    with sqlite3.connect(ledger_of(world)) as con:
        con.execute("DELETE FROM erasures")
    return "registry.ledger: is an older one, with 0 erasures"


def older_lake(world: World, old: Path) -> str:
    place = store_of(world.config).place
    shutil.rmtree(place)
    shutil.copytree(old / "lake", place)
    return "is from before erasure 1 of 2"


LOSSES = [lose_list, damage_list, older_list, older_ledger, lose_ledger, older_lake]


@pytest.mark.few(1)
@pytest.mark.parametrize("lose", LOSSES)
@pytest.mark.slow
@pytest.mark.ci
def test_what_one_place_lost_refuses_the_day_and_again_mends_it(
    erased: World, tmp_path: Path, lose: Callable[[World, Path], str]
) -> None:
    config, day = erased.config, erased.day(3)
    erased.write(day)
    said = lose(erased, tmp_path / "old")
    with Ledger(config) as ledger:
        for take in (
            lambda: ingest(config, ledger, day),
            lambda: release_day(config, ledger, erased.day(1), [], [], "a test"),
            lambda: erase(config, ledger, ["u9"], "asked"),
        ):
            with pytest.raises(LakeError) as found:
                take()
            assert said in str(found.value)
            assert "\n" not in str(found.value)
    assert any(said in each["what"] for each in examine(config) if not each["ok"])
    assert day not in Lake.of(config).days
    again(erased)
    assert problem(erased) is None
    assert rows_of(erased, *USERS) == 0
    with Ledger(config) as ledger:
        held = check_erasures(config, ledger)
        assert kept_list(ledger) == held
        assert ingest(config, ledger, day).changed
        for number in range(3):
            assert not ingest(config, ledger, erased.day(number)).changed
    assert set(held.users) == {held.mark(user) for user in USERS}
    assert rows_of(erased, *USERS) == 0
    remove(erased, "u9")
    assert problem(erased) is None


@pytest.mark.slow
@pytest.mark.ci
def test_a_list_of_another_ledger_is_not_joined(erased: World, tmp_path: Path) -> None:
    other = World.copied(erased.root, tmp_path / "other")
    shutil.rmtree(other.config.home)
    with Ledger(other.config) as ledger:
        ingest(other.config, ledger, other.day(0))
    remove(other, "u1")
    shutil.copy(Workspace(other.config).suppressed, erased.config.home)
    assert "of another ledger; move it away" in str(problem(erased))
    with pytest.raises(LakeDamageError, match="of another ledger"):
        again(erased)
    Workspace(erased.config).suppressed.unlink()
    again(erased)
    assert problem(erased) is None


@pytest.mark.slow
@pytest.mark.ci
def test_two_that_went_on_apart_are_joined(erased: World, tmp_path: Path) -> None:
    path, mine = Workspace(erased.config).suppressed, tmp_path / "mine.json"
    shutil.copy(path, mine)
    older_list(erased, tmp_path / "old")
    older_ledger(erased, tmp_path / "old")
    lake = store_of(erased.config).place
    shutil.move(lake, tmp_path / "lake")
    shutil.copytree(tmp_path / "old" / "lake", lake)
    again(erased)
    shutil.rmtree(lake)
    shutil.move(tmp_path / "lake", lake)
    shutil.copy(mine, path)
    assert "other erasures than the ledger" in str(problem(erased))
    again(erased)
    held = read_suppressed(erased.config)
    assert len(held.users) == 2
    assert problem(erased) is None


@pytest.mark.slow
@pytest.mark.ci
def test_what_only_the_lake_remembers_is_told_and_can_be_given_up(
    erased: World, tmp_path: Path, driftune: Callable[..., Ended]
) -> None:
    lose_list(erased, tmp_path)
    lose_ledger(erased, tmp_path)
    said = "has had 2 erasures, list and ledger know of 0"
    assert said in str(problem(erased))
    with pytest.raises(LakeDamageError, match=said):
        again(erased)
    ended = driftune("erase", "--forget-lost", "-c", str(erased.params))
    assert (ended.code, ended.err) == (0, "")
    assert problem(erased) is None
    remove(erased, "u9")
    assert problem(erased) is None
    assert applied(store_of(erased.config)) == 3


@pytest.mark.slow
@pytest.mark.ci
def test_the_list_of_an_earlier_release_joins_ledger_and_lake(erased: World) -> None:
    path, config = Workspace(erased.config).suppressed, erased.config
    document = read_json(path)
    salt = document["salt"][:32]
    old = {name: document[name] for name in ("days", "erasures")} | {"salt": salt}
    listed = read_suppressed(config).model_copy(update={"salt": salt, "keyed": "sha256"})
    for each, user in zip(old["erasures"], USERS, strict=True):
        each["users"] = [listed.mark(user)]
    write_json(path, {**old, "users": [listed.mark(user) for user in USERS]})
    ledger_of(erased).unlink()
    # As if the lake had never heard of erasures.
    place = store_of(config).place
    for log in sorted((place / "_delta_log").glob("*.json")):
        lines = log.read_text().splitlines()
        log.write_text("\n".join(line for line in lines if '"driftune.erasures","ver' not in line))
    assert applied(store_of(config)) == 0
    assert problem(erased) is None
    assert applied(store_of(config)) == 2
    held = read_suppressed(config)
    assert (held.number, held.keyed) == (2, "sha256")
    with Ledger(config) as ledger:
        assert kept_list(ledger) == held
        taken = ingest(config, ledger, erased.day(0))
    assert taken.quality.rows < 1200
    assert rows_of(erased, *USERS) == 0
    remove(erased, "u9")
    assert problem(erased) is None


@pytest.mark.slow
@pytest.mark.ci
def test_a_lake_that_is_made_anew_is_behind_nothing(erased: World) -> None:
    shutil.rmtree(store_of(erased.config).place)
    assert problem(erased) is None
    with Ledger(erased.config) as ledger:
        ingest(erased.config, ledger, erased.day(0))
    assert applied(store_of(erased.config)) == 2
    assert problem(erased) is None


def test_nothing_to_apply_again_writes_nothing(
    ingested_world: World, driftune: Callable[..., Ended]
) -> None:
    ended = driftune("erase", "--again", "--json", "-c", str(ingested_world.params))
    assert (ended.code, json.loads(ended.out)["rows"]) == (0, 0)
    assert not Workspace(ingested_world.config).suppressed.exists()
    ended = driftune("erase", "--again", "--user", "u7", "-c", str(ingested_world.params))
    assert ended.code == 1
    assert "take no users" in ended.err


@pytest.mark.slow
@pytest.mark.ci
def test_a_ledger_whose_list_was_changed_is_told(erased: World) -> None:
    with sqlite3.connect(ledger_of(erased)) as con:
        con.execute("DELETE FROM erasures WHERE number = 1")
    findings = [each["what"] for each in examine(erased.config) if not each["ok"]]
    assert any("its list of erased users is damaged" in each for each in findings)
    with pytest.raises(DriftuneError):
        Workspace(erased.config).suppressed.unlink()
        again(erased)
