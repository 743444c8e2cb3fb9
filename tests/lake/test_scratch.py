"""Scratch: what queries do not hold in memory lies where prune and erasures look for it."""

import duckdb
import pytest

from driftune.config.workspace import Workspace
from driftune.lake.duck import connect
from driftune.lake.scratch import connect_within, left_behind
from tests.conftest import World

LARGE = "CREATE TEMP TABLE large AS SELECT n, md5(n::VARCHAR) AS user_id FROM range(3_000_000) r(n)"


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A working directory that nothing may be written to."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.chmod(0o500)
    yield folder
    folder.chmod(0o700)


@pytest.mark.slow
@pytest.mark.ci
def test_what_does_not_fit_in_memory_is_under_staging_and_goes(tmp_path, elsewhere) -> None:
    config = World(tmp_path / "world", resources={"memory": "60MB"}).config
    staging = Workspace(config).staging
    with connect_within(config, []) as con:
        con.execute(LARGE)
        spilled = [path for path in staging.rglob("*") if "spill" in path.parts and path.is_file()]
        assert sum(path.stat().st_size for path in spilled) > 10_000_000
        assert left_behind(staging) == []
        # A run that was killed leaves its owner's name, by which it is found.
        (owner,) = staging.glob("*/.owner")
        place, _, started = owner.read_text(encoding="utf-8").rsplit(":", 2)
        owner.write_text(f"{place}:{2**22 + 1}:{started}", encoding="utf-8")
        assert left_behind(staging) == [owner.parent]
    assert list(staging.iterdir()) == []
    assert list(elsewhere.iterdir()) == []


def test_nothing_is_written_to_the_working_directory_without_a_place_for_it(elsewhere) -> None:
    with connect(memory="60MB") as con, pytest.raises(duckdb.OutOfMemoryException):
        con.execute(LARGE)
    assert list(elsewhere.iterdir()) == []
