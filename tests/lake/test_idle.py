"""Databases in memory that are used again: alone, empty, and with the same reach."""

import multiprocessing
from pathlib import Path

import duckdb
import pytest

from driftune.lake import idle as idle_module
from driftune.lake.duck import connect, one_row

THREADS = "SELECT current_setting('threads')"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The databases that were made, none kept from before."""
    found: list[object] = []
    plain = duckdb.connect

    def counted(path: str) -> duckdb.DuckDBPyConnection:
        found.append(path)
        return plain(path)

    monkeypatch.setattr(idle_module, "_IDLE", idle_module._Idle())
    monkeypatch.setattr(duckdb, "connect", counted)
    return found


def test_the_next_connection_with_the_same_reach_takes_it(
    made: list[object], tmp_path: Path
) -> None:
    for _ in range(3):
        with connect(reach=[tmp_path]) as con:
            before = one_row(con, THREADS)
            con.execute("CREATE TEMP TABLE own AS SELECT 1 AS a; SET threads = 1")
            con.execute("CREATE TEMP VIEW seen AS FROM own")
    with connect(reach=[tmp_path]) as con:
        assert one_row(con, THREADS) == before
        with pytest.raises(duckdb.CatalogException):
            con.execute("FROM own")
    assert len(made) == 1


def test_each_of_two_at_once_has_its_own(made: list[object], tmp_path: Path) -> None:
    with connect(reach=[tmp_path]) as one, connect(reach=[tmp_path]) as other:
        one.execute("CREATE TABLE mine (a INTEGER)")
        other.execute("CREATE TABLE mine (b VARCHAR)")
    assert len(made) == 2


@pytest.mark.parametrize("left", ["CREATE TABLE mine (a INTEGER)", "CREATE VIEW mine AS SELECT 1"])
def test_what_was_left_in_is_not_used_again(made: list[object], left: str) -> None:
    for _ in range(2):
        with connect() as con:
            con.execute(left)
    assert len(made) == 2


def test_nothing_beyond_the_reach_is_read(made: list[object], tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out.csv"
    inside.mkdir()
    outside.write_text("a\n1\n", encoding="utf-8")
    with connect(reach=[tmp_path]) as con:
        assert con.execute(f"FROM read_csv('{outside}')").fetchall() == [(1,)]
    with connect(reach=[inside]) as con, pytest.raises(duckdb.PermissionException):
        con.execute(f"FROM read_csv('{outside}')")
    assert len(made) == 2


def test_a_zone_is_the_connections_own(made: list[object]) -> None:
    with connect(timezone="Asia/Tokyo"):
        pass
    with connect() as con:
        assert one_row(con, "SELECT current_setting('TimeZone')") == ("UTC",)


def test_few_are_kept(made: list[object], tmp_path: Path) -> None:
    for number in [*range(idle_module.KEPT + 2), 0]:
        with connect(reach=[tmp_path / str(number)]):
            pass
    assert len(made) == idle_module.KEPT + 3


def _asked() -> None:
    with connect() as con:
        assert one_row(con, "SELECT sum(range) FROM range(100000)") == (4999950000,)


def test_a_forked_process_makes_its_own() -> None:
    _asked()
    process = multiprocessing.get_context("fork").Process(target=_asked)
    process.start()
    process.join(60)
    assert process.exitcode == 0
