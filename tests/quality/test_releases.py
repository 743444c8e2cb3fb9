"""Letting rows out of quarantine: by reason, by domain, by new rules; audited and repeatable."""

import json
from collections.abc import Callable

import pandas as pd
import pytest

from driftune.errors import DayRefusedError, DriftuneError, SourceError
from driftune.files import write_text
from driftune.logs.lake import Lake
from driftune.quality.release import read_release, release_day
from driftune.quality.shown import quarantined
from driftune.registry.ledger import Ledger
from driftune.workspace import Workspace
from tests.conftest import Ended, World, impressions
from tests.quality.days import NORTH, in_north, run


def release(world: World, day, reasons=(), domains=(), why="looked at them"):
    with Ledger(world.config) as ledger:
        return release_day(world.config, ledger, day, reasons, domains, why)


@pytest.fixture
def copied(ingested_world: World) -> World:
    """A world whose day 3 has ten exact copies and a row without a user."""
    day = ingested_world.day(3)
    frame = impressions(day)
    frame.loc[50, "user_id"] = None
    ingested_world.write(day, pd.concat([frame, frame.iloc[:10]], ignore_index=True))
    run(ingested_world, day)
    return ingested_world


def test_rows_rejected_for_a_released_reason_enter_the_lake(copied: World) -> None:
    day = copied.day(3)
    done = release(copied, day, ["duplicate"])
    assert (done.revision, done.quality.accepted, done.quality.rejected) == (2, 1209, 1)
    assert done.quality.released[0]["why"] == "looked at them"
    assert read_release(Workspace(copied.config), day).reasons == ("duplicate",)


def test_a_day_with_a_release_is_a_no_op_when_it_comes_again(copied: World) -> None:
    day = copied.day(3)
    release(copied, day, ["duplicate"])
    before = Lake.of(copied.config).contents
    again = run(copied, day)
    assert (again.changed, again.revision, again.quality.accepted) == (False, 2, 1209)
    assert Lake.of(copied.config).contents == before


def test_a_refused_domain_is_let_in_by_its_name(ingested_world: World) -> None:
    world, day = ingested_world, ingested_world.day(3)
    frame = impressions(day)
    frame.loc[in_north(frame), ["click", "ordered"]] = 0
    world.write(day, frame)
    assert run(world, day).quality.rejected == in_north(frame).sum()
    done = release(world, day, domains=[NORTH])
    assert (done.quality.rejected, done.quality.refused, done.revision) == (0, [], 2)


def test_domains_of_a_day_that_was_refused_for_them_are_let_in(ingested_world: World) -> None:
    world, day = ingested_world, ingested_world.day(3)
    frame = impressions(day)
    frame.loc[frame["scene"] == "home", "click"] = 1
    frame.loc[frame["region"] == "north", "click"] = 1
    world.write(day, frame)
    with pytest.raises(DayRefusedError, match="domains to be refused"):
        run(world, day)
    names = ["home · north", "home · south", "search · north"]
    done = release(world, day, domains=names)
    assert done.quality.accepted == len(frame)
    assert done.quality.refused == []


def test_without_names_the_day_is_judged_by_the_rules_of_now(ingested_world: World) -> None:
    world, day = ingested_world, ingested_world.day(3)
    frame = impressions(day)
    frame.loc[in_north(frame), ["click", "ordered"]] = 0
    world.write(day, frame)
    run(world, day)
    eased = World(world.root, quality={"severity": {"domain_click_rate_absurd": "warning"}})
    assert not run(eased, day).changed
    assert release(eased, day).quality.refused == []


@pytest.mark.parametrize(
    ("reasons", "domains", "why", "message"),
    [
        (["user_missing"], [], "fine", "user_missing cannot be released: .* cannot be encoded"),
        (["domain_unknown"], [], "fine", "domains.unknown: other"),
        (["domain_refused"], [], "fine", "--domain NAME"),
        (["duplikate"], [], "fine", "'duplikate' is no reason"),
        (["duplicate"], [], "  ", "--why is empty"),
        ([], ["moon"], "fine", "domain 'moon' is not refused; refused are: none"),
    ],
)
def test_what_cannot_be_released_is_one_line(
    copied: World, reasons: list[str], domains: list[str], why: str, message: str
) -> None:
    day = copied.day(3)
    with pytest.raises(DriftuneError, match=message) as error:
        release(copied, day, reasons, domains, why)
    assert "\n" not in str(error.value)
    assert read_release(Workspace(copied.config), day).entries == ()


@pytest.mark.parametrize(
    "text", ["{}", '[{"reasons": ["duplicate"], "domains": []}]', '[{"reasons": "duplicate"}]', ""]
)
def test_a_damaged_record_of_releases_is_one_line(copied: World, text: str) -> None:
    day = copied.day(3)
    write_text(Workspace(copied.config).released(day), text)
    with pytest.raises(DriftuneError, match="the record of releases is damaged"):
        run(copied, day)


def test_a_source_that_is_gone_leaves_everything_as_it_was(copied: World) -> None:
    day = copied.day(3)
    (copied.root / "logs" / f"{day}.parquet").unlink()
    before = Lake.of(copied.config).contents
    with pytest.raises(SourceError, match=f"{day}: nothing was released"):
        release(copied, day, ["duplicate"])
    assert read_release(Workspace(copied.config), day).entries == ()
    assert Lake.of(copied.config).contents == before


def test_a_day_that_stays_refused_keeps_no_release(ingested_world: World) -> None:
    world, day = ingested_world, ingested_world.day(3)
    world.write(day, impressions(day).assign(click=7))
    with pytest.raises(DayRefusedError):
        run(world, day)
    with pytest.raises(DayRefusedError):
        release(world, day, ["duplicate"])
    assert not Workspace(world.config).released(day).exists()


def test_quarantine_shows_rows_as_delivered_by_reason_and_domain(copied: World) -> None:
    day = copied.day(3)
    found = quarantined(copied.config, day, "duplicate", None, 3)
    assert len(found["rows"]) == 3
    assert {row["_reasons"] for row in found["rows"]} == {"duplicate"}
    assert sum(count["rows"] for count in found["counts"]) == 10
    own = quarantined(copied.config, day, None, NORTH, 99)
    assert {(row["scene"], row["region"]) for row in own["rows"]} == {("home", "north")}
    assert sum(count["rows"] for count in own["counts"]) == len(own["rows"])


def test_the_command_line_shows_and_releases(driftune: Callable[..., Ended], copied: World) -> None:
    day, given = str(copied.day(3)), ("--config", str(copied.params), "--json")
    shown = driftune("quarantine", "show", day, "--limit", "2", *given)
    assert json.loads(shown.out)["rejected"] == 11
    release = ("quarantine", "release", day, *given)
    done = driftune(*release, "--reason", "duplicate", "--why", "a replayed queue")
    assert json.loads(done.out) == {
        "day": day,
        "verdict": "warning",
        "rows": 1209,
        "rejected": 1,
        "revision": 2,
    }
    wrong = driftune(*release, "--reason", "user_missing", "--why", "no")
    assert wrong.code == 1
    assert wrong.err.startswith("error: user_missing cannot be released")
