"""Failure drills: whatever breaks while a day is taken in, the lake is what it was or should be."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import date
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from driftune.config.loading import load_config
from driftune.config.workspace import Workspace
from driftune.errors import DriftuneError, LakeError, SourceError, SourceUnavailableError
from driftune.intake.commit import commit
from driftune.intake.ingest import check, domains_for, ingest
from driftune.intake.stage import stage
from driftune.lake.scratch import scratch
from driftune.lake.source import fetch
from driftune.lake.table import Lake
from driftune.quality.record import DayQuality
from driftune.registry.ledger import Ledger
from tests.conftest import FIRST, World, impressions
from tests.forks import kill_at
from tests.lake.lakes import checksum, rows_of
from tests.marks import CI

Make = Callable[..., World]


def run(world: World, number: int = 3) -> Any:
    with Ledger(world.config) as ledger:
        return ingest(world.config, ledger, world.day(number))


def refused(world: World, error: type[DriftuneError], match: str, number: int = 3) -> None:
    """The day fails in one line, and neither lake nor ledger nor scratch keeps anything of it."""
    before = checksum(world.config)
    with pytest.raises(error, match=match) as found:
        run(world, number)
    assert "\n" not in str(found.value)
    assert checksum(world.config) == before
    with Ledger(world.config) as ledger:
        assert ledger.day(world.day(number)) is None
    assert not Workspace(world.config).quality(world.day(number)).exists()
    assert list(Workspace(world.config).staging.iterdir()) == []


# Damaged files


def test_a_parquet_file_damaged_inside_is_named(ingested_world: World) -> None:
    path = ingested_world.write(ingested_world.day(3))
    content = bytearray(path.read_bytes())
    # The footer stays whole: only reading the rows can find it.
    content[4 : len(content) // 2] = bytes(len(content) // 2 - 4)
    path.write_bytes(content)
    refused(ingested_world, SourceError, rf"{path.name}: breaks off or is damaged")


def test_one_damaged_part_of_several_is_the_one_that_is_named(ingested_world: World) -> None:
    world = World(ingested_world.root, source={"uri": "logs/{day}*.parquet"})
    frame = impressions(world.day(3))
    parts = [world.root / "logs" / f"{world.day(3)}-{name}.parquet" for name in "abc"]
    for number, path in enumerate(parts):
        frame[number * 400 : number * 400 + 400].to_parquet(path)
    content = bytearray(parts[1].read_bytes())
    content[4 : len(content) // 2] = bytes(len(content) // 2 - 4)
    parts[1].write_bytes(content)
    refused(world, SourceError, rf"{parts[1].name}: breaks off or is damaged")


def as_csv(world: World) -> tuple[World, Path, str]:
    """The world's next day as CSV text."""
    world = World(
        world.root, source={"uri": "logs/{day}.csv"}, reference={"uri": "logs/{day}.parquet"}
    )
    text = impressions(world.day(3)).to_csv(index=False)
    return world, world.root / "logs" / f"{world.day(3)}.csv", text


def taken_in(world: World) -> DayQuality:
    with Ledger(world.config) as ledger:
        return ingest(world.config, ledger, world.day(3)).quality


def unreadable(quality: DayQuality) -> int:
    return sum(row["rows"] for row in quality.rejections if row["reason"] == "row_unreadable")


def test_a_quote_that_is_never_closed(ingested_world: World) -> None:
    world, path, text = as_csv(ingested_world)
    lines = [line.replace("noodles", '"noodles, fried"') for line in text.splitlines()]
    lines[600] = lines[600].replace(",", ',"', 1)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    quality = taken_in(world)
    # The lines up to the next quote are no rows; all others are.
    lost = unreadable(quality)
    assert 1 <= lost < 60
    assert quality.rows == len(lines) - 1
    assert f"line 601 of logs/{path.name} has a quote" in " ".join(quality.problems())


def test_a_file_of_two_encodings(ingested_world: World) -> None:
    world, path, text = as_csv(ingested_world)
    lines = text.encode().splitlines()
    lines[700] = "ö".encode("latin-1") + lines[700]
    lines[701] = "ö".encode() + lines[701]
    path.write_bytes(b"\n".join(lines) + b"\n")
    quality = taken_in(world)
    assert unreadable(quality) == 1
    assert quality.rows == len(lines) - 1
    assert f"line 701 of logs/{path.name} is not UTF-8" in " ".join(quality.problems())


# Files that do not stay


def test_a_file_that_vanishes_before_it_is_read(ingested_world: World) -> None:
    world, day = ingested_world, ingested_world.day(3)
    path = world.write(day)
    before = checksum(world.config)
    with scratch(world.config, day) as folder:
        fetched = fetch(world.config, day, folder)
        path.unlink()
        with pytest.raises(SourceUnavailableError, match=rf"{path.name}: was gone while"):
            stage(world.config, fetched, domains_for(world.config, day), folder / "day.duckdb")
    assert checksum(world.config) == before


def remove(path: Path) -> None:
    path.unlink()


def rewrite(path: Path) -> None:
    impressions(FIRST, rows=700, seed=3).to_parquet(path)


@pytest.mark.parametrize("change", [remove, rewrite])
@pytest.mark.few(1)
def test_a_file_that_changes_between_validation_and_commit(
    ingested_world: World, change: Callable[[Path], None]
) -> None:
    world, day = ingested_world, ingested_world.day(3)
    path = world.write(day)
    before = checksum(world.config)
    with scratch(world.config, day) as folder:
        fetched = fetch(world.config, day, folder)
        domains = domains_for(world.config, day)
        staged = stage(world.config, fetched, domains, folder / "day.duckdb")
        check(world.config, staged)
        change(path)
        with pytest.raises(SourceUnavailableError, match="while the day was taken in"):
            commit(world.config, staged)
    assert checksum(world.config) == before


# A full disk


@pytest.fixture
def small_disk(ingested_world: World) -> Iterator[World]:
    """A world whose scratch is a file system of half a megabyte."""
    staging = Workspace(ingested_world.config).staging
    staging.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(staging)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small tmpfs can only be mounted by root")
    try:
        yield ingested_world
    finally:
        subprocess.run(["umount", str(staging)], check=True)


def test_a_full_disk_while_the_day_is_written(small_disk: World) -> None:
    day = small_disk.day(3)
    small_disk.write(day, impressions(day, rows=40_000))
    before = checksum(small_disk.config)
    with pytest.raises(LakeError, match=r"the lake is unchanged.* make room") as error:
        run(small_disk)
    assert "\n" not in str(error.value)
    assert checksum(small_disk.config) == before
    with Ledger(small_disk.config) as ledger:
        assert ledger.day(day) is None


def test_a_full_disk_while_text_is_staged(small_disk: World) -> None:
    world, path, _ = as_csv(small_disk)
    impressions(world.day(3), rows=40_000).to_csv(path, index=False)
    before = checksum(world.config)
    with pytest.raises(LakeError, match=r"cannot be staged .*the lake is unchanged"):
        run(world)
    assert checksum(world.config) == before


# Killed runs


def take_in(params: str, day: date) -> None:
    config = load_config(Path(params), env={})
    with Ledger(config) as ledger:
        ingest(config, ledger, day)


@pytest.mark.parametrize(
    ("point", "held"),
    [
        pytest.param("driftune.intake.stage:find_copies", False, marks=CI),
        pytest.param("driftune.intake.ingest:write_quarantine", False, marks=CI),
        ("driftune.intake.commit:_replace_partition", False),
        ("driftune.registry.ledger:Ledger.record_day", True),
    ],
    ids=["staging", "validation", "commit", "between lake and ledger"],
)
@pytest.mark.few(1)
def test_a_run_that_is_killed(
    ingested_world: World, forks: ForkServerContext, point: str, held: bool
) -> None:
    world, day = ingested_world, ingested_world.day(3)
    world.write(day)
    before = checksum(world.config)
    kill_at(forks, point, take_in, str(world.params), day)
    assert (day in Lake.of(world.config).days) is held
    if held:
        assert rows_of(world.config, [day]) == 1200
    else:
        assert checksum(world.config) == before
    result = run(world)
    assert (result.revision, result.quality.rows) == (1, 1200)
    after = checksum(world.config)
    assert after[0] == 4 * 1200
    assert not run(world).changed
    assert checksum(world.config) == after


# Names


def test_hostile_missing_and_empty_domains(make_world: Make) -> None:
    names = ["../../x", "'; drop table", "<script>", "a/b", "🍜", "x" * 300]
    world = make_world(columns={"domain": "scene"}, quality={"max_rejected_share": 0.3})
    frame = impressions(FIRST, rows=800)
    frame["scene"] = [*names, "", None] * 100
    world.write(FIRST, frame)
    quality = run(world, 0).quality
    assert {row["domain"]: row["rows"] for row in quality.domains} == dict.fromkeys(names, 100)
    assert [(row["reason"], row["rows"]) for row in quality.rejections] == [("domain_missing", 200)]
    kept = pd.read_parquet(Workspace(world.config).quarantine(FIRST))
    assert sorted(kept["scene"].fillna("null").unique()) == ["", "null"]
    assert rows_of(world.config, [FIRST]) == 600
    assert {path.name for path in world.root.iterdir()} == {"logs", "params.yaml", "workspace"}


def test_records_that_cannot_be_written_for_another_cause_than_room(ingested_world: World) -> None:
    world, day = ingested_world, ingested_world.day(3)
    world.write(day)
    folder = Workspace(world.config).docs_record(day).parent
    shutil.rmtree(folder)
    folder.write_text("in the way", encoding="utf-8")
    refused(world, LakeError, r"the lake is unchanged; see to .* and its files, then run")
