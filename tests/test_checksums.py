"""Checksums beside files: what was written is told from everything else."""

from pathlib import Path

import pytest

from driftune.checksums import beside, drop, is_damaged, is_whole, replacing_checked, sha256_of


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "day.parquet"
    with replacing_checked(path) as part:
        part.write_bytes(b"rows")
    return path


def test_a_file_fits_the_checksum_that_it_was_written_with(file: Path) -> None:
    assert is_whole(file)
    assert not is_damaged(file)
    assert beside(file).read_text().split() == [sha256_of(file), file.name]


def test_other_bytes_of_the_same_size_are_damage(file: Path) -> None:
    assert is_whole(file)
    file.write_bytes(b"rowz")
    assert not is_whole(file)
    assert is_damaged(file)


def test_a_file_without_a_checksum_is_not_known_to_be_whole_nor_damaged(file: Path) -> None:
    beside(file).unlink()
    assert not is_whole(file)
    assert not is_damaged(file)


def test_a_damaged_checksum_is_damage(file: Path) -> None:
    beside(file).write_bytes(b"\xff\xfe")
    assert is_damaged(file)


def test_nothing_is_written_when_making_it_fails(tmp_path: Path) -> None:
    path = tmp_path / "day.parquet"
    with pytest.raises(RuntimeError), replacing_checked(path) as part:
        part.write_bytes(b"half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_dropped_file_goes_with_its_checksum(file: Path) -> None:
    drop(file)
    drop(file)
    assert list(file.parent.iterdir()) == []
