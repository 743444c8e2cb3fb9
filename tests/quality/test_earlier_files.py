"""Files that release 0.1.0 (62340b5) wrote, shortened: read, and written the same again."""

import shutil
from datetime import date
from pathlib import Path

from driftune.config.workspace import Workspace
from driftune.io import read_json
from driftune.quality.day_profile import read_profile, write_profile
from driftune.quality.record import read_quality
from driftune.quality.released import Entry, keep, read_release
from tests.conftest import World

KEPT = Path(__file__).parent / "kept"
DAY = date(2026, 3, 23)


def test_a_quality_record_reads_and_writes_as_before(make_world, tmp_path: Path) -> None:
    world: World = make_world()
    path = Workspace(world.config).quality(DAY)
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(KEPT / "record.json", path)
    record = read_quality(Workspace(world.config), DAY)
    assert record is not None
    assert record.checks and record.domains and record.accepted > 0
    record.write(tmp_path / "again.json")
    assert read_json(tmp_path / "again.json") == read_json(KEPT / "record.json")


def test_a_profile_reads_and_writes_as_before(make_world) -> None:
    workspace = Workspace(make_world().config)
    path = workspace.quality_profile(DAY)
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(KEPT / "profile.json", path)
    profile = read_profile(workspace, DAY)
    assert profile is not None
    assert {column["kind"] for column in profile["columns"].values()} == {"id", "number", "value"}
    path.unlink()
    write_profile(workspace, profile)
    assert read_json(path) == read_json(KEPT / "profile.json")


def test_releases_of_old_hold_for_each_delivery(make_world) -> None:
    workspace = Workspace(make_world().config)
    path = workspace.released(DAY)
    path.parent.mkdir(parents=True, exist_ok=True)
    old = '{"at": "2026-03-23T09:00:00+00:00", "by": "ann", "why": "seen", "reasons": '
    path.write_text(f'[{old}["duplicate"], "domains": []}}]', encoding="utf-8")
    (entry,) = read_release(workspace, DAY).entries
    assert entry.is_of("any") and entry.done
    keep(workspace, DAY, [entry])
    assert read_release(workspace, DAY).entries == (Entry.model_validate(entry.model_dump()),)
