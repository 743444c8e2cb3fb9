"""One template finds the files of all days, or the one that it does not is named."""

from datetime import date
from pathlib import Path

import pytest

from driftune.config.days import with_day
from driftune.errors import SourceError
from driftune.proposal.files import daily_files


def made(root: Path, *names: str) -> list[Path]:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return [root / name for name in names]


@pytest.mark.parametrize(
    ("names", "template"),
    [
        (
            ["home_20260302_part1.csv", "search_20260302_part2.csv", "home_20260303_part1.csv"],
            "*_{day:%Y%m%d}_part*.csv",
        ),
        (["2026030215.csv"], "{day:%Y%m%d}*.csv"),
        (["2026030200.csv", "2026030223.csv", "2026030300.csv"], "{day:%Y%m%d}*.csv"),
        (["202603021530.csv"], "{day:%Y%m%d}*.csv"),
        (["2026-03-02/00/p.csv", "2026-03-02/01/p.csv"], "{day}/*/p.csv"),
        (["2026-03-02/p10.csv", "2026-03-02/p11.csv"], "{day}/p*.csv"),
        (["2026-03-02/log_2026-03-02.csv", "2026-03-03/log_2026-03-03.csv"], "{day}/log_{day}.csv"),
        (["a[1]/2026-03-02.csv"], "a[1]/{day}.csv"),
        (["a[1]/x2026-03-02.csv", "a[1]/y2026-03-03.csv"], "a[[]1]/*{day}.csv"),
        (
            ["year=2026/month=03/day=02/a.csv", "year=2026/month=03/day=03/b.csv"],
            "{day:year=%Y/month=%m/day=%d}/*.csv",
        ),
    ],
)
def test_one_template_finds_all(tmp_path: Path, names: list[str], template: str) -> None:
    found = daily_files(made(tmp_path, *names), tmp_path)
    assert found.template == template
    if "[1]" not in template:
        for day, files in found.days.items():
            there = {path.resolve() for path in tmp_path.glob(with_day(template, day))}
            assert there == set(files)


def test_hours_are_no_part_of_the_day(tmp_path: Path) -> None:
    found = daily_files(made(tmp_path, "2026030215.csv", "2026030304.csv"), tmp_path)
    assert list(found.days) == [date(2026, 3, 2), date(2026, 3, 3)]


@pytest.mark.parametrize(
    ("names", "line"),
    [
        (["2026-03-02.csv", "2026-03-03.csv", "x/2026-03-04.csv"], "x/2026-03-04.csv: lies or is"),
        (["2026-03-02.csv", "all.csv"], "all.csv: its name writes no day"),
        (["2026-03-02.csv", "20260303.csv"], "20260303.csv: its name writes no day"),
    ],
)
def test_a_file_that_does_not_fit_is_named(tmp_path: Path, names: list[str], line: str) -> None:
    with pytest.raises(SourceError, match=line) as refused:
        daily_files(made(tmp_path, *names), tmp_path)
    assert "\n" not in str(refused.value)
