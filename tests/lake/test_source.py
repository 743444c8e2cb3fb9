"""Fetch: file systems, formats, globs, and one line for whatever is not there."""

import gzip
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest

from driftune.errors import SourceError
from driftune.intake.ingest import ensure_reference, ingest
from driftune.lake.duck import connect
from driftune.lake.loading import read_parts
from driftune.lake.readers.unreadable import create_unreadable
from driftune.lake.source import Fetched, fetch
from driftune.registry.ledger import Ledger
from tests.anywhere import anywhere
from tests.conftest import FIRST, World, impressions

Make = Callable[..., World]


def get(world: World, tmp_path: Path) -> Fetched:
    return fetch(world.config, FIRST, tmp_path / "scratch")


def read(world: World, tmp_path: Path) -> tuple[dict[str, str], list[tuple[str, ...]]]:
    """The columns of the first day's only file, and its rows."""
    with connect(tmp_path / "read.duckdb", reach=[tmp_path]) as con:
        create_unreadable(con)
        (part,) = read_parts(con, world.config, get(world, tmp_path), tmp_path / "plain")
        names = ", ".join(part.columns)
        return part.columns, con.execute(f"SELECT {names} FROM {part.relation}").fetchall()


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_local_files_stay_where_they_are(make_world: Make, tmp_path: Path, prefix: str) -> None:
    uri = f"{prefix}{tmp_path}/logs/{{day}}.parquet" if prefix else "logs/{day}.parquet"
    world = make_world(source={"uri": uri})
    path = world.write(FIRST)
    (found,) = get(world, tmp_path).files
    assert found.path == path
    assert found.format == "parquet"
    assert not (tmp_path / "scratch").exists()


def test_remote_files_are_copied(make_world: Make, tmp_path: Path) -> None:
    world = make_world(source={"uri": "memory://bucket/{day}/*.parquet"})
    local = world.write(FIRST)
    memory = fsspec.filesystem("memory")
    for name in ("part-1", "part-2"):
        memory.pipe(f"/bucket/{FIRST}/{name}.parquet", local.read_bytes())
    try:
        found = get(world, tmp_path).files
    finally:
        memory.rm("/bucket", recursive=True)
    assert [file.uri for file in found] == [
        f"memory:///bucket/{FIRST}/part-{number}.parquet" for number in (1, 2)
    ]
    assert {file.path.parent for file in found} == {tmp_path / "scratch"}
    assert len({file.sha256 for file in found}) == 1


def test_content_does_not_depend_on_names_or_order(make_world: Make, tmp_path: Path) -> None:
    world = make_world(source={"uri": "logs/{day}/*.csv"})
    folder = world.root / "logs" / str(FIRST)
    folder.mkdir()
    frame = impressions(FIRST)
    frame[:600].to_csv(folder / "a.csv", index=False)
    frame[600:].to_csv(folder / "b.csv", index=False)
    before = get(world, tmp_path).content
    (folder / "a.csv").rename(folder / "z.csv")
    assert get(world, tmp_path).content == before
    (folder / "z.csv").unlink()
    assert get(world, tmp_path).content != before


@pytest.mark.parametrize(
    ("uri", "wanted"),
    [
        ("logs/{day}.parquet", r"2026-03-02: no file at logs/2026-03-02\.parquet"),
        ("logs/{day}/*.csv", r"no file at logs/2026-03-02/\*\.csv"),
        ("memory://nowhere/{day}.csv", r"no file at memory://nowhere/2026-03-02\.csv"),
        ("nosuch://bucket/{day}.csv", r"nosuch://bucket/2026-03-02\.csv: cannot be opened"),
    ],
)
def test_files_that_are_not_there(make_world: Make, tmp_path: Path, uri: str, wanted: str) -> None:
    with pytest.raises(SourceError, match=wanted) as error:
        get(make_world(source={"uri": uri}), tmp_path)
    assert "\n" not in str(error.value)


CUT_GZIP = gzip.compress(b"a,b\n1,2\n" * 999, mtime=0)[:-20]


@pytest.mark.parametrize(
    ("name", "content", "wanted"),
    [
        ("{day}.parquet", b"", "the file is empty"),
        ("{day}.parquet", b"PAR1 and no more", "cannot be read as parquet"),
        ("{day}.csv.gz", b"not gzip", "is damaged or breaks off"),
        ("{day}.csv.gz", CUT_GZIP, "is damaged or breaks off"),
        ("{day}.jsonl", b'{"a": 1}\n{"a": ', "breaks off in its last line, 2, which is no JSON"),
        (
            "{day}.csv",
            b"a,b\n1,2\n3",
            "breaks off in its last line, 3, which has 1 value, the",
        ),
        ("{day}.xlsx", b"PK", "unknown file type; set source.format"),
    ],
)
def test_files_that_cannot_be_read_are_named(
    make_world: Make, tmp_path: Path, name: str, content: bytes, wanted: str
) -> None:
    world = make_world(source={"uri": f"logs/{name}"})
    path = world.root / "logs" / name.format(day=FIRST)
    path.write_bytes(content)
    with pytest.raises(SourceError, match=wanted) as error:
        read(world, tmp_path)
    assert str(error.value).startswith(f"logs/{path.name}: ")
    assert "\n" not in str(error.value)


@pytest.mark.slow
@pytest.mark.ci
def test_odd_folder_names_are_only_names(tmp_path: Path) -> None:
    world = World(tmp_path / "it's #1 földer {x} 日本").with_reference()
    with Ledger(world.config) as ledger:
        days = ensure_reference(world.config, ledger)
        assert not ingest(world.config, ledger, days[0]).changed


@pytest.mark.parametrize("packed", ["", ".gz", ".zst"])
@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        ("csv", "FORMAT csv, HEADER"),
        ("tsv", "FORMAT csv, HEADER, DELIMITER '\t'"),
        ("jsonl", "FORMAT json"),
        ("ndjson", "FORMAT json"),
        ("json", "FORMAT json"),
    ],
)
@pytest.mark.few(3)
def test_every_text_format_is_known_plain_and_compressed(
    make_world: Make, tmp_path: Path, suffix: str, options: str, packed: str
) -> None:
    world = make_world(source={"uri": "logs/{day}." + suffix + packed})
    kind = {"": "none", ".gz": "gzip", ".zst": "zstd"}[packed]
    path = world.root / "logs" / f"{FIRST}.{suffix}{packed}"
    with anywhere() as con:
        con.execute(f"COPY (SELECT 7 AS a, 'x' AS b) TO '{path}' ({options}, COMPRESSION {kind})")
    assert read(world, tmp_path) == ({"a": "VARCHAR", "b": "VARCHAR"}, [("7", "x")])
