"""Erasure of lines that are no rows: without columns, each of their words may be an id."""

from pathlib import Path

import duckdb
import pandas as pd
import pytest

from driftune.config.workspace import Workspace
from driftune.intake.ingest import ingest
from driftune.lake.suppressed import read_suppressed
from driftune.quality.record import read_quality
from driftune.registry.ledger import Ledger
from driftune.retention.asked import sort_out
from driftune.retention.erase import Erased, erase, would_erase
from tests.conftest import FIRST, World, impressions

# An id of several words, and one of one.
USER, OTHER = "ana: 77", "bo-78"


def csv_file(frame: pd.DataFrame) -> str:
    """A day's file with two broken lines, one of each user."""
    lines = frame.to_csv(index=False).splitlines(keepends=True)
    broken = [f'{USER},i1,"{FIRST} 08:00:00"\n', f"i2;{OTHER};{FIRST}\n"]
    return "".join([*lines[:5], *broken, *lines[5:]])


def json_file(frame: pd.DataFrame) -> str:
    """The same as JSON lines."""
    lines = frame.to_json(orient="records", lines=True, date_format="iso").splitlines(keepends=True)
    broken = [f'{{"user_id":"{USER}","item_id":\n', f'["{OTHER}", "i2"]\n']
    return "".join([*lines[:4], *broken, *lines[4:]])


FILES = {"csv": csv_file, "jsonl": json_file}


@pytest.fixture(params=FILES)
def lines_world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """A world whose first day has two lines that are no rows, one of each user."""
    world = World(tmp_path, source={"uri": f"logs/{{day}}.{request.param}"})
    deliver(world, impressions(FIRST))
    assert take_in(world)
    assert [USER in text for text in quarantined(world)] == [True, False]
    return world


def deliver(world: World, frame: pd.DataFrame) -> None:
    """Write the first day's file."""
    path = world.root / world.config.source_uri(FIRST)
    path.write_text(FILES[path.suffix[1:]](frame), encoding="utf-8")


def take_in(world: World) -> bool:
    """Whether taking in the first day changed the lake."""
    with Ledger(world.config) as ledger:
        return ingest(world.config, ledger, FIRST).changed


def remove(world: World, *users: str) -> Erased:
    with Ledger(world.config) as ledger:
        return erase(world.config, ledger, users, "asked by letter")


def quarantined(world: World) -> list[str]:
    """The lines in quarantine that are no rows, in their order."""
    path = Workspace(world.config).quarantine(FIRST)
    if not path.exists():
        return []
    query = f"SELECT _text FROM '{path}' WHERE _reasons = 'row_unreadable' ORDER BY _line"
    return [text for (text,) in duckdb.sql(query).fetchall()]


def naming(world: World, user: str) -> list[str]:
    """Files of the workspace that name the user."""
    found = []
    for path in sorted(world.config.home.rglob("*")):
        if path.suffix == ".parquet":
            text = duckdb.read_parquet(str(path), hive_partitioning=False).df().to_csv()
        else:
            text = path.read_bytes().decode(errors="replace") if path.is_file() else ""
        found += [path.name] if user in text else []
    return found


@pytest.mark.few(1)
@pytest.mark.slow
@pytest.mark.ci
def test_an_id_that_only_such_a_line_holds_is_found_and_erased(lines_world: World) -> None:
    with Ledger(lines_world.config) as ledger:
        assert sort_out(lines_world.config, ledger, [USER, "na", "nobody"]).held == [USER]
        assert would_erase(lines_world.config, ledger, [USER]).quarantined == 1
    assert naming(lines_world, USER)
    done = remove(lines_world, USER)
    assert (done.rows, done.quarantined, done.elsewhere, done.unknown) == (0, 1, [], {})
    assert [OTHER in text for text in quarantined(lines_world)] == [True]
    assert naming(lines_world, USER) == []
    remove(lines_world, OTHER)
    assert quarantined(lines_world) == naming(lines_world, OTHER) == []
    assert len(read_suppressed(lines_world.config).users) == 2


@pytest.mark.few(1)
@pytest.mark.slow
@pytest.mark.ci
def test_the_same_file_and_a_longer_one_bring_no_such_line_back(lines_world: World) -> None:
    remove(lines_world, USER)
    assert not take_in(lines_world)
    assert [OTHER in text for text in quarantined(lines_world)] == [True]
    deliver(lines_world, impressions(FIRST, rows=1300))
    assert take_in(lines_world)
    assert [OTHER in text for text in quarantined(lines_world)] == [True]
    assert naming(lines_world, USER) == []
    quality = read_quality(Workspace(lines_world.config), FIRST)
    assert quality is not None
    assert [row["rows"] for row in quality.rejections] == [1]


@pytest.mark.slow
@pytest.mark.ci
def test_rows_and_such_lines_of_one_user_go_together(lines_world: World) -> None:
    frame = impressions(FIRST)
    frame.loc[frame.index[:7], "user_id"] = USER
    deliver(lines_world, frame)
    assert take_in(lines_world)
    done = remove(lines_world, USER)
    assert (done.rows, done.quarantined, done.elsewhere) == (7, 1, [])
    assert naming(lines_world, USER) == []
    assert not take_in(lines_world)
    assert naming(lines_world, USER) == []
