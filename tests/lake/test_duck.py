"""Connections of DuckDB: they open what they are for, and nothing else."""

from pathlib import Path

import duckdb
import pytest

from driftune.lake.duck import connect, parquet
from driftune.quality.gx_context import gx_context


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    (tmp_path / "elsewhere").mkdir()
    path = tmp_path / "elsewhere" / "secret.csv"
    path.write_text("a\n1\n", encoding="utf-8")
    return path


@pytest.mark.few(10)
@pytest.mark.parametrize(
    "statement",
    [
        "FROM read_csv('{secret}')",
        "FROM read_csv('{reach}/../elsewhere/secret.csv')",
        "FROM read_csv('{reach}/link/secret.csv')",
        "FROM read_text('/etc/passwd')",
        "FROM glob('/etc/*')",
        "COPY (SELECT 1) TO '{secret}'",
        "ATTACH '{secret}.duckdb'",
        "FROM 'https://example.org/a.parquet'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "SET allowed_directories = ['/']",
        "SET temp_directory = '/tmp'",
        "CREATE PERSISTENT SECRET (TYPE s3)",
    ],
)
@pytest.mark.parametrize("is_file", [False, True])
def test_nothing_outside_is_opened(
    tmp_path: Path, secret: Path, statement: str, is_file: bool
) -> None:
    reach = tmp_path / "reach"
    reach.mkdir()
    (reach / "link").symlink_to(secret.parent)
    database = reach / "day.duckdb" if is_file else None
    text = statement.format(secret=secret, reach=reach)
    with connect(database, reach=[reach]) as con, pytest.raises(duckdb.Error):
        con.execute(text)
    assert secret.read_text(encoding="utf-8") == "a\n1\n"


def test_files_and_folders_in_reach_are_read_and_written(tmp_path: Path) -> None:
    folder = tmp_path / "odd [a-z]* 'name'"
    folder.mkdir()
    with connect(reach=[folder]) as con:
        for _ in range(2):
            con.execute(f"COPY (SELECT 1 AS a) TO '{str(folder).replace(chr(39), chr(39) * 2)}/x*'")
    with connect(reach=[folder / "x*"]) as con:
        assert con.execute(f"FROM read_csv('{_quoted(folder / 'x*')}')").fetchall() == [(1,)]
    (tmp_path / "linked").symlink_to(folder / "x*")
    with connect(reach=[tmp_path / "linked"]) as con:
        assert con.execute(f"FROM read_csv('{tmp_path / 'linked'}')").fetchall() == [(1,)]


def _quoted(path: Path) -> str:
    return parquet(path).split("['")[1].split("'],")[0].rsplit("']", 1)[0]


def test_what_joins_has_the_reach_of_who_opened_it(tmp_path: Path, secret: Path) -> None:
    database = tmp_path / "day.duckdb"
    with connect(database) as con, connect(database, reach=[secret]) as joined:
        joined.execute("CREATE TABLE rows AS SELECT 1 AS a")
        assert con.execute("FROM rows").fetchall() == [(1,)]
        with pytest.raises(duckdb.PermissionException):
            joined.execute(f"FROM read_csv('{secret}')")


def test_great_expectations_alone_is_locked_too(tmp_path: Path, secret: Path) -> None:
    with (
        gx_context(tmp_path / "day.duckdb") as (_context, source),
        source.get_engine().connect() as connection,
        pytest.raises(Exception, match="file system operations are disabled"),
    ):
        connection.exec_driver_sql(f"FROM read_csv('{secret}')")


@pytest.mark.slow
@pytest.mark.ci
def test_more_than_memory_holds_goes_where_it_may(tmp_path: Path) -> None:
    rows = "SELECT md5(i::VARCHAR) || md5((i + 1)::VARCHAR) AS a FROM range(1500000) t(i)"
    with connect(spill=tmp_path / "spill", memory="50MB") as con:
        con.execute(f"CREATE TABLE large AS {rows}")
        assert any((tmp_path / "spill").iterdir())
        (found,) = con.execute("SELECT count(DISTINCT a) FROM large").fetchall()
    assert found == (1_500_000,)


def test_what_is_needed_is_built_in() -> None:
    with connect(timezone="Europe/Berlin") as con:
        found = con.execute(
            "SELECT json_extract_string('{\"a\": \"b\"}', '$.a'), "
            "TIMESTAMPTZ '2026-03-02 12:00:00+00'::VARCHAR"
        ).fetchall()
    assert found == [("b", "2026-03-02 13:00:00+01")]
