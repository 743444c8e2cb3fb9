"""Great Expectations over a staged day that is open: it joins it, and leaves nothing open."""

from pathlib import Path

import duckdb
import pytest

from driftune.lake.duck import Connection, connect
from driftune.quality.gx_context import gx_context

LIMIT = "SELECT current_setting('memory_limit')"


def staged_day(con: Connection) -> None:
    con.execute("CREATE TABLE staged AS SELECT 1 AS user_id")


def asked(database: Path) -> list[tuple[str]]:
    """What Great Expectations is answered when it asks for DuckDB's memory limit."""
    with gx_context(database) as (_context, source), source.get_engine().connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(LIMIT)]


def test_it_has_the_limit_of_the_day_that_is_open(tmp_path: Path) -> None:
    with connect(tmp_path / "day.duckdb", memory="300MB") as con:
        staged_day(con)
        assert asked(tmp_path / "day.duckdb") == con.execute(LIMIT).fetchall()


def test_two_at_once_each_read_their_own_day(tmp_path: Path) -> None:
    first, second = tmp_path / "first.duckdb", tmp_path / "second.duckdb"
    with connect(first, memory="300MB") as con, connect(second, memory="400MB") as other:
        with gx_context(first) as (_context, source):
            assert asked(second) == other.execute(LIMIT).fetchall()
            with source.get_engine().connect() as connection:
                found = [tuple(row) for row in connection.exec_driver_sql(LIMIT)]
        assert found == con.execute(LIMIT).fetchall()


def test_nothing_stays_open_when_it_fails(tmp_path: Path) -> None:
    database = tmp_path / "day.duckdb"
    with pytest.raises(ValueError, match="broken"), connect(database) as con:
        staged_day(con)
        with gx_context(database) as (_context, source):
            source.add_table_asset("rows", table_name="staged")
            raise ValueError("broken")
    # DuckDB would refuse another configuration of a file that is open.
    with duckdb.connect(str(database), read_only=True) as con:
        assert con.execute("SELECT user_id FROM staged").fetchall() == [(1,)]
