"""Finding a day's files: what lies beside them, and what hides some of them."""

from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest

from driftune.errors import SourceError
from driftune.lake.source import fetch
from tests.conftest import FIRST, World

Make = Callable[..., World]


def names(world: World, tmp_path: Path) -> list[str]:
    return [Path(file.uri).name for file in fetch(world.config, FIRST, tmp_path / "s").files]


def put(world: World, *paths: str) -> Path:
    folder = world.root / "logs" / str(FIRST)
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("a,b\n1,2\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize("uri", ["logs/{day}/*.csv", "logs/{day}/**/*.csv", "logs/{day}/*"])
def test_what_engines_leave_beside_the_logs_is_ignored_and_named(
    make_world: Make, tmp_path: Path, uri: str
) -> None:
    world = make_world(source={"uri": uri})
    put(world, "a.csv", "_SUCCESS.csv", ".a.csv.crc", "._a.csv", "_temporary/0/a.csv", ".old/a.csv")
    fetched = fetch(world.config, FIRST, tmp_path / "s")
    assert [file.path.name for file in fetched.files] == ["a.csv"]
    assert {"_SUCCESS.csv", "._a.csv"} & {Path(name).name for name in fetched.ignored}


def test_a_template_may_ask_for_names_of_that_kind(make_world: Make, tmp_path: Path) -> None:
    world = make_world(source={"uri": "logs/{day}/_part-*.csv"})
    put(world, "_part-1.csv", "_part-2.csv", "a.csv")
    assert names(world, tmp_path) == ["_part-1.csv", "_part-2.csv"]


@pytest.mark.parametrize("uri", ["logs/{day}/*.csv", "logs/{day}/b.csv", "logs/{day}/**/*.csv"])
def test_a_link_to_nothing_is_named(make_world: Make, tmp_path: Path, uri: str) -> None:
    world = make_world(source={"uri": uri})
    (put(world, "a.csv") / "b.csv").symlink_to("gone.csv")
    with pytest.raises(SourceError, match=r"b\.csv: is a link to gone\.csv, which is not there"):
        names(world, tmp_path)


@pytest.mark.parametrize("uri", ["logs/{day}/*", "logs/{day}/**/*.csv", "logs/{day}/**"])
def test_a_linked_folder_hides_no_file(make_world: Make, tmp_path: Path, uri: str) -> None:
    world = make_world(source={"uri": uri})
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "b.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    (put(world, "a.csv") / "linked").symlink_to(tmp_path / "other")
    with pytest.raises(SourceError, match="linked: is a link to a folder"):
        names(world, tmp_path)


def test_a_folder_that_a_template_does_not_reach_into_is_named(
    make_world: Make, tmp_path: Path
) -> None:
    world = make_world(source={"uri": "logs/{day}/*"})
    put(world, "a.csv", "more/b.csv")
    with pytest.raises(SourceError, match=r"more: is a folder, and source\.uri takes files"):
        names(world, tmp_path)
    assert names(make_world(source={"uri": "logs/{day}/**/*"}), tmp_path) == ["a.csv", "b.csv"]


@pytest.mark.parametrize("partitions", [None, ["region"]])
def test_paths_say_the_same_on_every_store(
    make_world: Make, tmp_path: Path, partitions: list[str] | None
) -> None:
    uri = "{root}/day={{day}}/**/*.csv"
    found = []
    memory = fsspec.filesystem("memory")
    try:
        for root in (str(tmp_path / "logs"), "memory://hive"):
            filesystem, home = fsspec.core.url_to_fs(root)
            for region in ("S%C3%BCd", "__HIVE_DEFAULT_PARTITION__"):
                folder = f"{home}/day={FIRST}/region={region}"
                filesystem.makedirs(folder, exist_ok=True)
                filesystem.pipe(f"{folder}/a.csv", b"a\n1\n")
            source = {"uri": uri.format(root=root), "partitions": partitions}
            config = make_world(source=source).config
            files = fetch(config, FIRST, tmp_path / "s").files
            found.append([file.partitions for file in files])
    finally:
        memory.rm("/hive", recursive=True)
    assert found[0] == found[1] == [{"region": "Süd"}, {"region": None}]
