"""A day that comes again: another delivery under a release, other rules, damaged records."""

import json
import logging

import pytest

from driftune.config.workspace import Workspace
from driftune.errors import DayRefusedError, DriftuneError
from driftune.intake.ingest import ensure_reference
from driftune.intake.missed import missed_days
from driftune.intake.release import release_day
from driftune.io import read_json, write_json
from driftune.lake.table import Lake
from driftune.lake.versions import day_versions
from driftune.quality.record import read_quality
from driftune.quality.shown import releases
from driftune.quality.usual import history_of
from driftune.registry.ledger import Ledger
from tests.conftest import World, impressions
from tests.quality.days import NORTH, in_north, run


def without_clicks(day, seed=0):
    frame = impressions(day, seed=seed)
    frame.loc[in_north(frame), ["click", "ordered"]] = 0
    return frame


@pytest.mark.slow
@pytest.mark.ci
def test_a_release_holds_for_the_delivery_that_was_looked_at(
    ingested_world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world, day = ingested_world, ingested_world.day(3)
    world.write(day, without_clicks(day))
    run(world, day)
    with Ledger(world.config) as ledger:
        assert release_day(world.config, ledger, day, [], [NORTH], "a test").quality.refused == []
    world.write(day, without_clicks(day, seed=4))
    with (
        Ledger(world.config) as ledger,
        pytest.raises(DriftuneError, match="delivered anew since it was judged"),
    ):
        release_day(world.config, ledger, day, [], [NORTH], "another test")
    with caplog.at_level(logging.WARNING, logger="driftune"):
        later = run(world, day)
    assert "1 release of another delivery holds no more" in caplog.text
    assert [row["domain"] for row in later.quality.refused] == [NORTH]
    assert [each["state"] for each in releases(world.config, day)] == ["of another delivery"]
    world.write(day, without_clicks(day))
    assert run(world, day).quality.refused == []
    assert [each["state"] for each in releases(world.config, day)] == ["in force"]


@pytest.mark.slow
@pytest.mark.ci
def test_a_day_is_judged_again_by_changed_rules(copied: World) -> None:
    day = copied.day(3)
    lenient = World(copied.root, quality={"severity": {"duplicate": "info"}})
    same = run(lenient, day)
    assert (same.changed, same.revision, len(day_versions(copied.config, day))) == (False, 1, 1)
    checks = {check["rule"]: check["severity"] for check in same.quality.checks}
    assert checks["duplicate"] == "info"
    more = run(World(copied.root, quality={"severity": {"duplicate": "off"}}), day)
    assert (more.changed, more.revision, more.quality.accepted) == (True, 2, 1208)
    back = run(World(copied.root), day)
    assert (back.revision, back.quality.accepted) == (3, 1198)
    record = Workspace(copied.config).quality(day).stat().st_mtime_ns
    assert not run(copied, day).changed
    assert Workspace(copied.config).quality(day).stat().st_mtime_ns == record


@pytest.mark.slow
@pytest.mark.ci
def test_a_refused_day_is_late_again_when_its_rules_change(ingested_world: World) -> None:
    day, after = ingested_world.day(3), ingested_world.day(4)
    ingested_world.write(day)
    strict = World(ingested_world.root, quality={"min_rows": 5000})
    with Ledger(strict.config) as ledger:
        with pytest.raises(DayRefusedError):
            run(strict, day)
        assert missed_days(strict.config, ledger, after) == []
        eased = World(ingested_world.root)
        assert missed_days(eased.config, ledger, after) == [day]
        assert run(eased, day).revision == 1


def test_reference_days_stay_as_they_were_judged(ingested_world: World) -> None:
    before = Lake.of(ingested_world.config).contents
    strict = World(ingested_world.root, quality={"min_rows": 5000})
    with Ledger(strict.config) as ledger:
        ensure_reference(strict.config, ledger)
    assert Lake.of(strict.config).contents == before


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("domains", None),
        ("domains", [{"domain": "home · north"}]),
        ("rows", "many"),
        ("checks", {}),
        ("refused", [{"domain": "home · north"}]),
        ("day", 7),
    ],
)
def test_a_record_with_wrong_parts_is_left_out_with_a_warning(
    ingested_world: World, caplog: pytest.LogCaptureFixture, part: str, value: object
) -> None:
    world, day = ingested_world, ingested_world.day(1)
    workspace = Workspace(world.config)
    record = read_json(workspace.quality(day))
    assert read_quality(workspace, day) is not None
    write_json(workspace.quality(day), record | {part: value})
    workspace.quality_profile(day).unlink()
    days = [profile["day"] for profile in history_of(world.config, world.day(3)).profiles]
    assert str(day) not in days and len(days) == 2
    (line,) = caplog.messages
    assert "its quality record" in line and part in line and "\n" not in line


@pytest.mark.slow
@pytest.mark.ci
def test_a_record_of_old_is_as_good_as_it_was(ingested_world: World) -> None:
    world, day = ingested_world, ingested_world.day(1)
    path = Workspace(world.config).quality(day)
    record = json.loads(path.read_text(encoding="utf-8"))
    write_json(path, {key: record[key] for key in record.keys() - {"delivery", "basis", "rules"}})
    assert (run(world, day).changed, run(world, day).revision) == (False, 1)
