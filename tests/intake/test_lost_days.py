"""Days that the ledger holds and the lake does not: named before anything rests on less."""

import shutil
from datetime import date
from pathlib import Path

import pytest

from driftune.deployment.whole import lost
from driftune.errors import LakeDamageError, LakeError
from driftune.intake.ingest import ingest
from driftune.intake.lost import check_days, forget_day, lost_days
from driftune.intake.turns import turn
from driftune.lake.source import fetch
from driftune.lake.table import Lake
from driftune.registry.ledger import Ledger
from driftune.retention.prune import _drop_day
from tasks.days import held_already
from tests.conftest import World, impressions
from tests.lake.lakes import checksum


@pytest.fixture
def kept(ingested_world: World) -> World:
    """Reference days, two days more, and the files of a third."""
    for number in (3, 4):
        ingested_world.write(ingested_world.day(number))
        take_in(ingested_world, ingested_world.day(number))
    ingested_world.write(ingested_world.day(5))
    return ingested_world


def take_in(world: World, day: date) -> None:
    with Ledger(world.config) as ledger:
        ingest(world.config, ledger, day)


def found(world: World) -> list[date]:
    with Ledger(world.config) as ledger:
        return [day for day, _ in lost_days(world.config, ledger)]


def lose_newest_commit(world: World) -> None:
    log = Path(Lake.of(world.config).store.url) / "_delta_log"
    max(log.glob("*.json")).unlink()


@pytest.mark.slow
@pytest.mark.ci
def test_a_whole_lake_has_lost_nothing(kept: World) -> None:
    assert found(kept) == []
    take_in(kept, kept.day(5))
    assert kept.day(5) in Lake.of(kept.config).days


def test_a_lost_commit_is_named_before_the_next_day_joins_the_lake(kept: World) -> None:
    lose_newest_commit(kept)
    before = checksum(kept.config)
    with pytest.raises(LakeDamageError, match=f"has lost {kept.day(4)}.*run --day {kept.day(4)}"):
        take_in(kept, kept.day(5))
    assert checksum(kept.config) == before
    with Ledger(kept.config) as ledger:
        (finding,) = lost(kept.config, ledger)
    assert str(kept.day(4)) in finding["what"]
    assert not finding["ok"]


def test_the_lost_day_brings_itself_back(kept: World) -> None:
    before = checksum(kept.config)
    lose_newest_commit(kept)
    take_in(kept, kept.day(4))
    assert checksum(kept.config) == before
    assert found(kept) == []


@pytest.mark.slow
@pytest.mark.ci
def test_an_older_delivery_of_a_day_than_the_ledger_s_is_named(kept: World) -> None:
    kept.write(kept.day(4), impressions(kept.day(4), 1100))
    take_in(kept, kept.day(4))
    lose_newest_commit(kept)
    with Ledger(kept.config) as ledger:
        ((day, why),) = lost_days(kept.config, ledger)
    assert day == kept.day(4)
    assert "1,200 rows instead of 1,100" in why


@pytest.mark.slow
@pytest.mark.ci
def test_a_lake_that_was_moved_away_is_replayed_day_by_day(kept: World) -> None:
    before = checksum(kept.config)
    shutil.rmtree(Lake.of(kept.config).store.url)
    for number in range(5):
        take_in(kept, kept.day(number))
    assert checksum(kept.config) == before


def test_a_pruned_day_is_not_lost(kept: World) -> None:
    with Ledger(kept.config) as ledger:
        assert _drop_day(kept.config, ledger, kept.day(3))
    assert kept.day(3) not in Lake.of(kept.config).days
    assert found(kept) == []


def test_a_day_at_work_is_not_lost(kept: World) -> None:
    lose_newest_commit(kept)
    with turn(kept.config, kept.day(4)):
        assert found(kept) == []
    assert found(kept) == [kept.day(4)]


def test_days_out_of_reach_do_not_stop_a_run(kept: World) -> None:
    lose_newest_commit(kept)
    with Ledger(kept.config) as ledger:
        check_days(kept.config, ledger, kept.day(4 + 100))
        check_days(kept.config, ledger, kept.day(3))
        with pytest.raises(LakeDamageError):
            check_days(kept.config, ledger, kept.day(4 + 30))


@pytest.mark.slow
@pytest.mark.ci
def test_a_day_that_is_gone_for_good_can_be_given_up(kept: World) -> None:
    lose_newest_commit(kept)
    with Ledger(kept.config) as ledger:
        with pytest.raises(LakeError, match="is not lost"):
            forget_day(kept.config, ledger, kept.day(3))
        forget_day(kept.config, ledger, kept.day(4))
    take_in(kept, kept.day(5))
    assert found(kept) == []
    take_in(kept, kept.day(4))
    assert kept.day(4) in Lake.of(kept.config).days
    with Ledger(kept.config) as ledger:
        record = ledger.day(kept.day(4))
    assert record is not None
    assert record.verdict == "ok"


def test_the_daily_flow_names_it_before_the_day_is_staged(kept: World, tmp_path: Path) -> None:
    lose_newest_commit(kept)
    fetched = fetch(kept.config, kept.day(5), tmp_path)
    with pytest.raises(LakeDamageError, match=f"has lost {kept.day(4)}"):
        held_already.fn(kept.config, fetched)
