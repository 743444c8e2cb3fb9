"""Checksums: what a file must hold, verified when it is read for a decision."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from driftune.io import replacing


def sha256_of(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes; computed once per process while the file is the same.

    Raises:
        OSError: when it cannot be read.
    """
    now = path.stat()
    return _sha256(str(path), now.st_size, now.st_mtime_ns, now.st_ino)


@lru_cache(maxsize=1 << 14)
def _sha256(path: str, _size: int, _modified: int, _inode: int) -> str:
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def beside(path: Path) -> Path:
    """The file beside ``path`` that holds its checksum, as ``sha256sum --check`` reads it."""
    return path.with_name(f"{path.name}.sha256")


@contextmanager
def replacing_checked(path: Path) -> Iterator[Path]:
    """As ``io.replacing``, and write the checksum beside it.

    For what can be made anew: killed between the two, the file does not fit its checksum.
    """
    with replacing(path) as part:
        yield part
        digest = sha256_of(part)
        with replacing(beside(path)) as note:
            note.write_text(f"{digest}  {path.name}\n", encoding="utf-8")


def is_whole(path: Path) -> bool:
    """Whether a file is there and fits the checksum beside it."""
    try:
        said = beside(path).read_text(encoding="utf-8").split()
        return said[:1] == [sha256_of(path)]
    except (OSError, ValueError):
        return False


def is_damaged(path: Path) -> bool:
    """Whether a file is there but does not fit the checksum beside it.

    One of an earlier release, which has none, does not count as damaged.
    """
    return path.exists() and beside(path).exists() and not is_whole(path)


def drop(path: Path) -> None:
    """Remove a file with its checksum; one that is gone is no error."""
    path.unlink(missing_ok=True)
    beside(path).unlink(missing_ok=True)
