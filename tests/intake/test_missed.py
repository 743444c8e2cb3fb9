"""Days that a scheduled run owes: late, missed in an outage, or left without a decision."""

from datetime import UTC, date, datetime, timedelta

import pytest

from driftune.errors import DayRefusedError
from driftune.intake.ingest import ingest
from driftune.intake.missed import last_full_day, missed_days
from driftune.registry.ledger import Ledger
from driftune.registry.records import Scores
from tests.conftest import World, impressions


def finish(ledger: Ledger, day: date) -> None:
    """Bring a day into the lake and decide for one of its domains."""
    revision = record(ledger, day)
    ledger.decide(
        id=f"{day}.home-north.r{revision}",
        domain="home · north",
        domain_key="home-north",
        day=str(day),
        revision=revision,
        backbone="b",
        state="stable",
        score=0.0,
        scores=Scores(),
        sentence="Nothing moved.",
        data_version="v",
        champion_version=0,
    )


def record(ledger: Ledger, day: date, **values: str) -> int:
    """Record a day as a run does that has brought it into the lake."""
    return ledger.record_day(
        day, content_hash=str(values), lake_version=1, rows=1, rejected=0, verdict="ok"
    )


@pytest.fixture
def later(world: World) -> list[date]:
    """The twenty days after the reference, all delivered (as copies of one small file)."""
    days = [world.day(3 + number) for number in range(20)]
    first = world.write(days[0], impressions(days[0], 40))
    for day in days[1:]:
        first.with_name(f"{day}.parquet").hardlink_to(first)
    return days


def gone(world: World, day: date) -> None:
    (world.root / "logs" / f"{day}.parquet").unlink()


@pytest.mark.parametrize(
    ("moment", "zone", "day"),
    [
        (datetime(2026, 3, 17, 5, 30, tzinfo=UTC), "UTC", date(2026, 3, 16)),
        (datetime(2026, 3, 16, 23, 30, tzinfo=UTC), "Europe/Berlin", date(2026, 3, 16)),
        (datetime(2026, 3, 17, 2, 30, tzinfo=UTC), "America/New_York", date(2026, 3, 15)),
    ],
)
def test_the_last_full_day_is_that_of_the_configured_zone(
    world: World, moment: datetime, zone: str, day: date
) -> None:
    assert last_full_day(world.config.model_copy(update={"timezone": zone}), moment) == day


def test_late_days_are_those_that_arrived_and_no_run_has_finished(
    world: World, later: list[date]
) -> None:
    gone(world, later[2])
    with Ledger(world.config) as ledger:
        finish(ledger, later[1])
        assert missed_days(world.config, ledger, later[4]) == [later[3]]
        # Reference days are no late days.
        assert missed_days(world.config, ledger, later[1]) == [later[0]]


@pytest.mark.parametrize("number", [0, 2])
def test_how_many_days_may_be_late_is_configured(
    world: World, later: list[date], number: int
) -> None:
    world = World(world.root, source={"late_days": number})
    with Ledger(world.config) as ledger:
        assert missed_days(world.config, ledger, later[9]) == later[9 - number : 9]


def test_after_an_outage_every_day_since_the_last_run_is_missed(
    world: World, later: list[date]
) -> None:
    with Ledger(world.config) as ledger:
        finish(ledger, later[0])
        assert missed_days(world.config, ledger, later[8]) == later[1:8]
        # As far back as is configured.
        assert missed_days(world.config, ledger, later[19]) == later[5:19]
        finish(ledger, later[8])
        assert missed_days(world.config, ledger, later[9]) == [later[6], later[7]]


def test_a_day_whose_run_died_before_it_decided_is_missed(world: World, later: list[date]) -> None:
    with Ledger(world.config) as ledger:
        record(ledger, later[0])
        assert missed_days(world.config, ledger, later[1]) == [later[0]]
        finish(ledger, later[0])
        assert missed_days(world.config, ledger, later[1]) == []
        record(ledger, later[0], content="delivered anew")
        assert missed_days(world.config, ledger, later[1]) == [later[0]]


def test_a_refused_day_is_missed_only_when_it_is_delivered_anew(ingested_world: World) -> None:
    world, day = ingested_world, ingested_world.day(3)
    after = day + timedelta(days=1)
    spoilt = impressions(day, seed=9)
    spoilt.loc[:599, "ordered"] = 3
    world.write(day, spoilt)
    with Ledger(world.config) as ledger:
        assert missed_days(world.config, ledger, after) == [day]
        with pytest.raises(DayRefusedError):
            ingest(world.config, ledger, day)
        assert missed_days(world.config, ledger, after) == []
        world.write(day)
        assert missed_days(world.config, ledger, after) == [day]
