"""Several files of a day: how many of their lines may be no rows, and files that hold none."""

import gzip
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from driftune.errors import SourceError
from driftune.intake.stage import stage
from driftune.lake.duck import connect
from driftune.lake.source import fetch
from driftune.quality.staged import Staged
from tests.conftest import FIRST, World
from tests.corpus.written import ROWS, csv_text, json_text, rows, table

GOOD = {
    "csv": csv_text(rows(FIRST)).encode(),
    "jsonl": json_text(rows(FIRST)).encode(),
}
BROKEN = {"csv": b"no,row\n", "jsonl": b"[1]\n"}
# Of a dozen lines, more than the fifth that is tolerated.
MANY = 6


def staged_day(tmp_path: Path, files: dict[str, bytes]) -> Staged:
    world = World(
        tmp_path,
        source={"uri": "logs/{day}/*"},
        columns={"domain": ["scene", "region"], "position": None, "propensity": None},
        features={"categorical": [], "numerical": []},
        quality={"max_rejected_share": 0.2},
    )
    folder = world.root / "logs" / str(FIRST)
    folder.mkdir()
    for name, content in files.items():
        folder.joinpath(name).write_bytes(content)
    pq.write_table(table(rows(FIRST, number=2)), folder / "z.parquet")
    fetched = fetch(world.config, FIRST, tmp_path / "remote")
    return stage(world.config, fetched, None, tmp_path / "scratch" / "day.duckdb")


def sentences(staged: Staged) -> dict[str, tuple[str, int]]:
    return {change.rule: (change.sentence, change.rows) for change in staged.evolution.changes}


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
@pytest.mark.few(1)
def test_lines_that_are_no_rows_are_judged_for_the_day(tmp_path: Path, ending: str) -> None:
    files = {f"{name}.{ending}": GOOD[ending] for name in "bcde"}
    files[f"a.{ending}"] = GOOD[ending] + BROKEN[ending] * MANY
    staged = staged_day(tmp_path, files)
    assert staged.rows == 5 * ROWS + MANY + 2
    with connect(staged.database, reach=staged.reach) as con:
        found = con.execute("SELECT line, text FROM unreadable ORDER BY line").fetchall()
        ((accepted,),) = con.execute("SELECT count(*) FROM staged").fetchall()
    first = GOOD[ending].count(b"\n") + 1
    text = BROKEN[ending].decode().strip()
    assert found == [(first + number, text) for number in range(MANY)]
    assert accepted == 5 * ROWS + 2


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_too_many_lines_of_a_day_name_the_worst_file(tmp_path: Path, ending: str) -> None:
    files = {
        f"a.{ending}": GOOD[ending] + BROKEN[ending] * 4,
        f"b.{ending}": GOOD[ending] + BROKEN[ending] * MANY,
    }
    with pytest.raises(SourceError) as error:
        staged_day(tmp_path, files)
    assert f"b.{ending}: 6 of 18 lines are no rows; the first is line" in str(error.value)
    assert str(error.value).endswith("of all files' lines 10 of 36 are none")


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_file_without_a_row_refuses_the_day(tmp_path: Path, ending: str) -> None:
    files = {f"{name}.{ending}": GOOD[ending] for name in "bcde"}
    header = GOOD["csv"].splitlines(keepends=True)[0] if ending == "csv" else b""
    files[f"a.{ending}"] = header + BROKEN[ending]
    with pytest.raises(
        SourceError, match=rf"/a\.{ending}: (1 of 1 lines are no rows|.*is no object)"
    ):
        staged_day(tmp_path, files)


def test_files_that_hold_nothing_are_told(tmp_path: Path) -> None:
    header = GOOD["csv"].splitlines(keepends=True)[0]
    staged = staged_day(
        tmp_path,
        {
            "a.csv": GOOD["csv"],
            "b.csv.gz": gzip.compress(b""),
            "c.jsonl.gz": gzip.compress(b""),
            "d.jsonl": b"\n",
            "e.csv": header,
        },
    )
    assert staged.rows == ROWS + 2
    sentence, number = sentences(staged)["files_empty"]
    assert (number, "/b.csv.gz is the first" in sentence) == (4, True)


def test_a_file_whose_lines_have_no_keys_refuses_the_day(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"b\.jsonl: no line of it has a key"):
        staged_day(tmp_path, {"a.csv": GOOD["csv"], "b.jsonl": b"{}\n{}\n"})
