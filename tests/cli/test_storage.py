"""A disk that is full, a path that is too long: one line each, whoever met it."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest
import sqlalchemy as sa
import torch
from safetensors.torch import save_file

from driftune.cli.storage import told
from tests.conftest import Ended, World


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 64 KB that holds 64 KB."""
    folder = tmp_path / "full"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small tmpfs can only be mounted by root")
    try:
        (folder / "rest").write_bytes(b"-" * 64 * 1024)
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def by_duckdb(folder: Path) -> None:
    duckdb.sql(f"COPY (SELECT range FROM range(100000)) TO '{folder}/x.parquet'")


def by_sqlite(folder: Path) -> None:
    with sa.create_engine(f"sqlite:///{folder}/x.db").begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")


def by_safetensors(folder: Path) -> None:
    save_file({"x": torch.zeros(100_000)}, folder / "x.safetensors")


def by_python(folder: Path) -> None:
    (folder / "x").write_bytes(b"-" * 100_000)


@pytest.mark.parametrize("write", [by_duckdb, by_sqlite, by_safetensors, by_python])
def test_a_full_disk_is_one_line_whoever_met_it(full: Path, write: object) -> None:
    assert callable(write)
    with pytest.raises(Exception) as met:  # Each of them has a class of its own.
        write(full)
    line = told(met.value)
    assert line is not None and "\n" not in line
    assert "free some space (driftune prune)" in line


def test_a_full_disk_that_is_the_cause_of_an_error_is_told() -> None:
    with pytest.raises(RuntimeError) as met:
        try:
            raise OSError(28, "No space left on device", "/data/x")
        except OSError as error:
            raise RuntimeError("a task ended") from error
    assert told(met.value) == (
        "/data/x: no space left on device; free some space (driftune prune) and say it again"
    )


def test_a_crash_of_ours_is_none_of_them() -> None:
    assert told(ValueError("a fault")) is None
    assert told(FileNotFoundError(2, "No such file", "/x")) is None


@pytest.mark.parametrize(
    "command",
    [["run", "--day", "2026-03-05"], ["replay", "--from", "2026-03-05", "--to", "2026-03-06"]],
)
def test_a_run_without_room_for_its_records_says_so_before_it_begins(
    full: Path, command: list[str], tmp_path: Path, driftune: Callable[..., Ended]
) -> None:
    (full / "rest").unlink()
    subprocess.run(["mount", "-o", "remount,size=1128k", str(full)], check=True)
    world = World(tmp_path, workspace=str(full / "workspace"))
    ended = driftune(*command, "--config", str(world.params))
    assert ended.code == 1
    assert len(ended.err.splitlines()) == 1
    assert ended.err.startswith("error: workspace: 1.1 MB are free in ")
    assert list(full.iterdir()) == []


LONG = "/".join(["d" * 200] * 30)


@pytest.mark.parametrize("command", ["status", "prune", "doctor", "report"])
def test_a_configuration_at_six_thousand_characters_is_one_line(
    command: str, tmp_path: Path, driftune: Callable[..., Ended]
) -> None:
    ended = driftune(command, "--config", str(tmp_path / LONG))
    assert ended.code == 1
    assert len(ended.err.splitlines()) == 1 and ended.err.startswith("error: ")


@pytest.mark.parametrize("command", ["status", "prune", "report"])
def test_a_workspace_at_six_thousand_characters_is_one_line(
    command: str, tmp_path: Path, driftune: Callable[..., Ended]
) -> None:
    world = World(tmp_path, workspace=LONG)
    ended = driftune(command, "--config", str(world.params))
    assert ended.code == 1
    assert len(ended.err.splitlines()) == 1 and ended.err.startswith("error: ")
    assert "shorter path" in ended.err or "cannot" in ended.err
