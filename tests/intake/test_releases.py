"""Letting rows out of quarantine: by reason, by domain, by new rules; audited and repeatable."""

import json
import re
from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from driftune.cli.quarantine import app
from driftune.config.workspace import Workspace
from driftune.domains import domain_key
from driftune.errors import DayRefusedError, DriftuneError, SourceError
from driftune.intake.release import release_day
from driftune.io import write_text
from driftune.lake.table import Lake
from driftune.quality.released import read_release
from driftune.quality.shown import quarantined, releases
from driftune.registry.ledger import Ledger
from tests.conftest import Ended, World, impressions
from tests.quality.days import NORTH, in_north, run


def release(world: World, day, reasons=(), domains=(), why="looked at them"):
    with Ledger(world.config) as ledger:
        return release_day(world.config, ledger, day, reasons, domains, why)


def test_rows_rejected_for_a_released_reason_enter_the_lake(copied: World) -> None:
    day = copied.day(3)
    done = release(copied, day, ["duplicate"])
    assert (done.revision, done.quality.accepted, done.quality.rejected) == (2, 1208, 2)
    assert done.quality.released[0]["why"] == "looked at them"
    assert [each["state"] for each in releases(copied.config, day)] == ["in force"]
    assert read_release(Workspace(copied.config), day).reasons == ("duplicate",)


@pytest.mark.slow
@pytest.mark.ci
def test_a_day_with_a_release_is_a_no_op_when_it_comes_again(copied: World) -> None:
    day = copied.day(3)
    release(copied, day, ["duplicate"])
    before = Lake.of(copied.config).contents
    again = run(copied, day)
    assert (again.changed, again.revision, again.quality.accepted) == (False, 2, 1208)
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


@pytest.mark.slow
@pytest.mark.ci
def test_without_names_the_day_is_judged_by_the_rules_of_now(ingested_world: World) -> None:
    world, day = ingested_world, ingested_world.day(3)
    frame = impressions(day)
    frame.loc[in_north(frame), ["click", "ordered"]] = 0
    world.write(day, frame)
    run(world, day)
    eased = World(world.root, quality={"severity": {"domain_click_rate_absurd": "warning"}})
    done = release(eased, day)
    assert (done.quality.refused, done.revision) == ([], 2)
    again = release(eased, day, why="once more")
    assert (again.changed, again.revision) == (False, 2)
    (entry,) = read_release(Workspace(eased.config), day).entries
    assert (entry.why, entry.done) == ("looked at them", True)


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


@pytest.mark.slow
@pytest.mark.ci
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
    own = quarantined(copied.config, day, None, domain_key(NORTH), 99)
    assert {(row["scene"], row["region"]) for row in own["rows"]} == {("home", "north")}
    assert sum(count["rows"] for count in own["counts"]) == len(own["rows"])


def test_quarantine_shows_refused_domains_that_are_asked_for(ingested_world: World) -> None:
    world, day = ingested_world, ingested_world.day(3)
    frame = impressions(day)
    frame.loc[in_north(frame), ["click", "ordered"]] = 0
    frame.loc[0, "region"] = None
    world.write(day, frame)
    run(world, day)

    def refused(reason: str | None, domain: str | None) -> list[str]:
        found = quarantined(world.config, day, reason, domain, 5)["refused_domains"]
        return [row["domain"] for row in found]

    assert refused(None, None) == refused(None, NORTH) == refused("domain_refused", None) == [NORTH]
    assert refused(None, "home · south") == refused("duplicate", None) == []
    unnamed = quarantined(world.config, day, None, "", 5)
    assert [row["_reasons"] for row in unnamed["rows"]] == ["domain_missing"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--reason", "duplikate"], r"'duplikate' is no reason of a rejected row; there are user"),
        (["--domain", "moon"], r"has no domain 'moon'; there are home · north, home · south"),
    ],
)
def test_a_reason_or_domain_that_is_not_there_is_a_usage_error(
    copied: World, given: list[str], message: str
) -> None:
    day = str(copied.day(3))
    asked = CliRunner().invoke(app, ["show", day, *given, "-c", str(copied.params)])
    assert asked.exit_code == 2
    assert re.search(message, " ".join(asked.output.replace("│", " ").split()))
    assert "rows rejected" not in asked.output


def test_nothing_is_shown_or_released_of_a_day_that_was_never_validated(copied: World) -> None:
    day = copied.day(9)
    for ask in (
        lambda: quarantined(copied.config, day, None, None, 5),
        lambda: release(copied, day, ["duplicate"]),
    ):
        with pytest.raises(DriftuneError, match=f"{day}: was never validated; run driftune run"):
            ask()
    record = Workspace(copied.config).quality(copied.day(3))
    write_text(record, '{"domains": null}')
    with pytest.raises(DriftuneError, match=r"json: is damaged; run driftune run --day"):
        quarantined(copied.config, copied.day(3), None, None, 5)


def test_the_command_line_shows_and_releases(driftune: Callable[..., Ended], copied: World) -> None:
    day, given = str(copied.day(3)), ("--config", str(copied.params), "--json")
    shown = driftune("quarantine", "show", day, "--limit", "2", *given)
    assert json.loads(shown.out)["rejected"] == 12
    release = ("quarantine", "release", day, *given)
    done = driftune(*release, "--reason", "duplicate", "--why", "a replayed queue")
    assert json.loads(done.out) == {
        "day": day,
        "verdict": "warning",
        "rows": 1208,
        "rejected": 2,
        "revision": 2,
        "changed": True,
    }
    wrong = driftune(*release, "--reason", "user_missing", "--why", "no")
    assert wrong.code == 1
    assert wrong.err.startswith("error: user_missing cannot be released")
