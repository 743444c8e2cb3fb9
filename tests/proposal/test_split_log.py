"""Files that hold many days are split by day, and lose no row."""

from pathlib import Path

import duckdb
import pytest

from driftune.errors import SourceError
from driftune.proposal.propose import propose
from driftune.proposal.split import UNREADABLE, split_days
from tests.anywhere import anywhere


def log(path: Path, lines: str) -> Path:
    """A CSV file of clicks in three days."""
    path.write_text("id,click,hour,user,ad,site\n" + lines)
    return path


LINES = "".join(
    f"{10**19 + n},{n % 3 // 2},2603{2 + n // 100:02d}{n % 24:02d},0{n % 30},ad{n % 12},s{n % 2}\n"
    for n in range(300)
)


def rows(folder: Path) -> list[tuple[str, ...]]:
    with duckdb.connect() as con:
        files = sorted(str(path) for path in folder.rglob("*.parquet"))
        return con.execute(
            'SELECT id, click, hour, "user", ad, site FROM '
            f"read_parquet({files}, hive_partitioning=false)"
        ).fetchall()


def test_each_row_comes_to_its_day_as_it_was_written(tmp_path: Path) -> None:
    file = log(tmp_path / "all.csv", LINES + "1,0,never,7,ad1,s1\n")
    found = split_days([file], None, "UTC", tmp_path / "logs")
    assert (found.days, found.rows, found.unreadable, found.column) == (3, 300, 1, "hour")
    names = sorted(path.name for path in (tmp_path / "logs").iterdir())
    assert names == ["2026-03-02", "2026-03-03", "2026-03-04", UNREADABLE]
    wanted = [tuple(line.split(",")) for line in LINES.splitlines()]
    lost = ("1", "0", "never", "7", "ad1", "s1")
    assert sorted(rows(tmp_path / "logs")) == sorted([*wanted, lost])
    first = rows(tmp_path / "logs" / "2026-03-02")
    assert first == wanted[:100]


def test_what_was_split_is_proposed(tmp_path: Path) -> None:
    file = log(tmp_path / "all.csv", LINES)
    split_days([file], "hour", "UTC", tmp_path / "logs")
    proposal = propose([tmp_path / "logs"], tmp_path)
    assert proposal.files.template == "logs/{day}/rows_0.parquet"
    assert len(proposal.files.days) == 3
    by_role = {guess.role: guess.value for guess in proposal.guesses}
    assert by_role["time"] == {"column": "hour", "format": "%y%m%d%H"}
    assert by_role["item"] == "ad"


def test_the_zone_says_the_day(tmp_path: Path) -> None:
    # 2026-03-01 23:30 UTC is the second of March in Shanghai.
    times = [1772407800 + 60 * n for n in range(10)]
    lines = "".join(f"{n},0,{time},u{n},ad{n},s\n" for n, time in enumerate(times))
    file = log(tmp_path / "all.csv", lines)
    assert split_days([file], "hour", "Asia/Shanghai", tmp_path / "logs").days == 1
    assert [path.name for path in (tmp_path / "logs").iterdir()] == ["2026-03-02"]


@pytest.mark.parametrize(
    ("column", "line"),
    [("when", "has no column 'when'"), ("site", "column 'site' does not read as a time")],
)
def test_no_time_is_one_line(tmp_path: Path, column: str, line: str) -> None:
    file = log(tmp_path / "all.csv", LINES)
    with pytest.raises(SourceError, match=line):
        split_days([file], column, "UTC", tmp_path / "logs")


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    file = log(tmp_path / "all.csv", LINES)
    with pytest.raises(SourceError, match="is not empty"):
        split_days([file], "hour", "UTC", tmp_path)


def test_a_line_that_is_no_row_is_not_passed_over(tmp_path: Path) -> None:
    file = log(tmp_path / "all.csv", LINES + "1,0,26030200,7\n")
    with pytest.raises(SourceError, match="cannot be split by hour"):
        split_days([file], "hour", "UTC", tmp_path / "logs")


def test_a_text_with_an_offset_is_an_instant(tmp_path: Path) -> None:
    times = ["2026-03-02T23:30:00Z", "2026-03-02 23:30:00", "2026-03-03T23:30:00+08:00"]
    file = log(tmp_path / "all.csv", "".join(f"1,0,{time},u,ad,s\n" for time in times))
    split_days([file], "hour", "Asia/Shanghai", tmp_path / "logs")
    found = {
        folder.name: [row[2] for row in rows(folder)] for folder in (tmp_path / "logs").iterdir()
    }
    assert found == {"2026-03-02": [times[1]], "2026-03-03": [times[0], times[2]]}


def test_a_time_of_0_is_none(tmp_path: Path) -> None:
    lines = "".join(f"{n},0,{1772407800 + n},u,ad,s\n" for n in range(50))
    file = log(tmp_path / "all.csv", lines + "1,0,0,u,ad,s\n1,0,1e300,u,ad,s\n")
    found = split_days([file], "hour", "UTC", tmp_path / "logs")
    assert (found.days, found.rows, found.unreadable) == (1, 50, 2)


def test_a_folder_is_split_and_a_field_is_a_time(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with anywhere() as con:
        con.execute(
            "COPY (SELECT {'at': TIMESTAMP '2026-03-02' + to_hours(x)} AS event, x "
            f"FROM range(30) r(x)) TO '{tmp_path / 'in' / 'all.parquet'}' (FORMAT parquet)"
        )
    found = split_days([tmp_path / "in"], None, "UTC", tmp_path / "logs")
    assert (found.column, found.days, found.rows) == ("event.at", 2, 30)


def test_json_is_not_split(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "all.jsonl").write_text('{"a": 1, "at": "2026-03-02T10:00:00"}\n')
    with pytest.raises(SourceError, match="JSON is not split"):
        split_days([tmp_path / "in"], None, "UTC", tmp_path / "logs")
    assert not (tmp_path / "logs").exists()


def test_nothing_is_left_of_a_split_that_did_not_begin(tmp_path: Path) -> None:
    file = log(tmp_path / "all.csv", LINES + "1,0,26030200,7\n")
    with pytest.raises(SourceError, match="cannot be split by hour"):
        split_days([file], "hour", "UTC", tmp_path / "logs")
    assert not (tmp_path / "logs").exists()
